// SPDX-License-Identifier: AGPL-3.0-only
// Numbers between text and binary64, as wire protocol 3.1 reads and 3.3 writes them. Used by the
// reader, the writer and the scanner of this folder only. Pure functions, no heap, safe from any
// thread.
#ifndef AUSPEX_COMMON_JSON_NUMBER_H_
#define AUSPEX_COMMON_JSON_NUMBER_H_

#include <array>
#include <string_view>

namespace auspex::json_internal {

// Room for the longest float in canonical form ("-2.2250738585072014e-308", 24 characters).
using FloatBuffer = std::array<char, 40>;

// Writes `value` in the form of 3.3 into `buffer`; the result points into `buffer` or at static
// text.
std::string_view FormatFloat(double value, FloatBuffer& buffer);

// The binary64 nearest to `token`, which must be a JSON number by RFC 8259's grammar: ties to even,
// an infinity when it overflows, a zero of its sign when it underflows.
double ParseNumberToken(std::string_view token);

// How many of `text`'s first characters form a JSON number by RFC 8259's grammar; 0 when none do.
// `is_float` tells whether there was a point or an exponent; `digits` is the number of digits of
// the integer part.
struct NumberToken {
  size_t length = 0;
  size_t digits = 0;
  bool is_float = false;
};
NumberToken ScanNumber(std::string_view text);

}  // namespace auspex::json_internal

#endif  // AUSPEX_COMMON_JSON_NUMBER_H_
