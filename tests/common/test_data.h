// SPDX-License-Identifier: AGPL-3.0-only
// Vector files and the signing that only tests may do. Every function fails the running test and
// returns something empty when a file or member is missing.
#ifndef AUSPEX_TESTS_COMMON_TEST_DATA_H_
#define AUSPEX_TESTS_COMMON_TEST_DATA_H_

#include <string>
#include <string_view>

#include "common/json/value.h"

namespace auspex::testing {

// The whole content of a file.
std::string ReadFileOrFail(const std::string& path);

// The vector file `name` of AUSPEX_VECTORS_DIR or, when that is not set, of tests/vectors in the
// source tree.
JsonValue ReadVectors(std::string_view name);

// Members by name, with the kind checked.
std::string StringOf(const JsonValue& object, std::string_view name);
std::string Base64Of(const JsonValue& object, std::string_view name);
int64_t IntegerOf(const JsonValue& object, std::string_view name);
const JsonValue& MemberOf(const JsonValue& object, std::string_view name);

// Ed25519 with the key of a 32-octet seed in hex: 64 octets.
std::string SignWithSeed(std::string_view seed_hex, std::string_view message);
// The public key of that seed, 64 lower-case hex digits.
std::string PublicKeyOfSeed(std::string_view seed_hex);

}  // namespace auspex::testing

#endif  // AUSPEX_TESTS_COMMON_TEST_DATA_H_
