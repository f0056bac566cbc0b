// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/common/test_data.h"

#include <gtest/gtest.h>
#include <sodium/crypto_sign_ed25519.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/json/reader.h"

namespace auspex::testing {
namespace {

struct KeyPair {
  std::array<unsigned char, crypto_sign_ed25519_PUBLICKEYBYTES> public_key{};
  std::array<unsigned char, crypto_sign_ed25519_SECRETKEYBYTES> secret_key{};
};

KeyPair KeyOfSeed(std::string_view seed_hex) {
  KeyPair pair;
  const std::string seed = HexDecode(seed_hex).value_or("");
  EXPECT_EQ(seed.size(), size_t{crypto_sign_ed25519_SEEDBYTES});
  if (seed.size() == crypto_sign_ed25519_SEEDBYTES) {
    crypto_sign_ed25519_seed_keypair(pair.public_key.data(), pair.secret_key.data(),
                                     reinterpret_cast<const unsigned char*>(seed.data()));
  }
  return pair;
}

}  // namespace

std::string ReadFileOrFail(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

JsonValue ReadVectors(std::string_view name) {
  std::string folder;
  if (const char* given = std::getenv("AUSPEX_VECTORS_DIR"); given != nullptr && *given != '\0') {
    folder = given;
  } else {
    const char* source = std::getenv("AUSPEX_SOURCE_DIR");
    EXPECT_NE(source, nullptr) << "AUSPEX_SOURCE_DIR is set by ctest";
    folder = Cat(source == nullptr ? "." : source, "/tests/vectors");
  }
  auto root =
      ReadJson(ReadFileOrFail(Cat(folder, "/", name)), JsonLimits{.max_octets = 64 * 1024 * 1024});
  EXPECT_TRUE(root.ok()) << name << ": " << root.status();
  return root.ok() ? *std::move(root) : JsonValue();
}

const JsonValue& MemberOf(const JsonValue& object, std::string_view name) {
  static const JsonValue kNull;
  const JsonValue* member = object.Find(name);
  EXPECT_NE(member, nullptr) << "no member " << name;
  return member == nullptr ? kNull : *member;
}

std::string StringOf(const JsonValue& object, std::string_view name) {
  const std::string* text = object.FindString(name);
  EXPECT_NE(text, nullptr) << "no string " << name;
  return text == nullptr ? "" : *text;
}

std::string Base64Of(const JsonValue& object, std::string_view name) {
  const auto octets = Base64Decode(StringOf(object, name));
  EXPECT_TRUE(octets.has_value()) << name << " is not base64";
  return octets.value_or("");
}

int64_t IntegerOf(const JsonValue& object, std::string_view name) {
  const auto number = MemberOf(object, name).AsInt64();
  EXPECT_TRUE(number.has_value()) << name << " is not an integer";
  return number.value_or(0);
}

std::string SignWithSeed(std::string_view seed_hex, std::string_view message) {
  const KeyPair pair = KeyOfSeed(seed_hex);
  std::string signature(crypto_sign_ed25519_BYTES, '\0');
  crypto_sign_ed25519_detached(reinterpret_cast<unsigned char*>(signature.data()), nullptr,
                               reinterpret_cast<const unsigned char*>(message.data()),
                               message.size(), pair.secret_key.data());
  return signature;
}

std::string PublicKeyOfSeed(std::string_view seed_hex) {
  const KeyPair pair = KeyOfSeed(seed_hex);
  return HexEncode(std::string_view(reinterpret_cast<const char*>(pair.public_key.data()),
                                    pair.public_key.size()));
}

}  // namespace auspex::testing
