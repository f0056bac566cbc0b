// SPDX-License-Identifier: AGPL-3.0-only
// Hex and base64 as the wire protocol uses them: lower-case hex, standard base64 with padding, and URL-safe base64
// without padding for random identifiers. Decoders are strict. Pure functions, safe from any thread.
#ifndef AUSPEX_COMMON_BASE_ENCODING_H_
#define AUSPEX_COMMON_BASE_ENCODING_H_

#include <optional>
#include <string>
#include <string_view>

namespace auspex {

// Lower-case hex digits, two per octet.
std::string HexEncode(std::string_view octets);
// The octets of `hex` (either case); nullopt on an odd length or a foreign character.
std::optional<std::string> HexDecode(std::string_view hex);

// RFC 4648 section 4, padded.
std::string Base64Encode(std::string_view octets);
// Strict RFC 4648 section 4: padding required, no white space, unused bits must be zero.
std::optional<std::string> Base64Decode(std::string_view text);

// RFC 4648 section 5 without padding, as in coordinator-made identifiers and tokens.
std::string Base64UrlEncode(std::string_view octets);

}  // namespace auspex

#endif  // AUSPEX_COMMON_BASE_ENCODING_H_
