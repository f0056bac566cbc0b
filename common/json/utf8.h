// SPDX-License-Identifier: AGPL-3.0-only
// Strict UTF-8 (RFC 3629), character by character. Pure functions, safe from any thread.
#ifndef AUSPEX_COMMON_JSON_UTF8_H_
#define AUSPEX_COMMON_JSON_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace auspex {

// One decoded character: its code point and how many octets it took.
struct Utf8Character {
  uint32_t code_point = 0;
  size_t length = 0;
};

// The character at the start of `text`; length 0 when `text` is empty or does not begin with
// well-formed UTF-8. Surrogates in three octets ("WTF-8") are well-formed only with
// `allow_surrogates`.
Utf8Character DecodeUtf8(std::string_view text, bool allow_surrogates = false);

// True when all of `text` is UTF-8 without surrogates.
bool IsUtf8(std::string_view text);

}  // namespace auspex

#endif  // AUSPEX_COMMON_JSON_UTF8_H_
