// SPDX-License-Identifier: AGPL-3.0-only
// Surrogates and JSON's \u escapes, for the reader, the writer and the scanner of this folder only.
// Pure functions, safe from any thread.
#ifndef AUSPEX_COMMON_JSON_ESCAPE_H_
#define AUSPEX_COMMON_JSON_ESCAPE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace auspex::json_internal {

inline bool IsHighSurrogate(uint32_t c) { return c >= 0xd800 && c <= 0xdbff; }
inline bool IsLowSurrogate(uint32_t c) { return c >= 0xdc00 && c <= 0xdfff; }
inline uint32_t JoinSurrogates(uint32_t high, uint32_t low) {
  return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

// Appends `code_point` (surrogates allowed) in UTF-8's bit pattern.
void AppendCodePoint(std::string& out, uint32_t code_point);

// The value of four hex digits (either case) at the start of `text`.
std::optional<uint32_t> ReadHex4(std::string_view text);

}  // namespace auspex::json_internal

#endif  // AUSPEX_COMMON_JSON_ESCAPE_H_
