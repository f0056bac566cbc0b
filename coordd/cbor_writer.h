// SPDX-License-Identifier: AGPL-3.0-only
// CborItem: composes canonical CBOR (RFC 7049 section 3.9: shortest heads, map keys by length and
// then by octets) for the attestation statement. Values only grow; no reader. Pure, any thread.
#ifndef AUSPEX_COORDD_CBOR_WRITER_H_
#define AUSPEX_COORDD_CBOR_WRITER_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace auspex::coordd::cbor {

// Each returns one encoded item.
std::string Unsigned(uint64_t value);
std::string Text(std::string_view utf8);
std::string Bytes(std::string_view octets);
std::string Array(const std::vector<std::string>& encoded_items);
// Text keys to encoded values.
std::string Map(const std::map<std::string, std::string>& encoded_values);

}  // namespace auspex::coordd::cbor

#endif  // AUSPEX_COORDD_CBOR_WRITER_H_
