// SPDX-License-Identifier: AGPL-3.0-only
#include "common/json/number.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <system_error>

namespace auspex::json_internal {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// True when a number that left the range of binary64 is too large (and not too small). Looks only
// at the position of the first digit that is not zero, which is enough: the two ends of the range
// are more than 600 powers of ten apart.
bool IsHuge(std::string_view token) {
  constexpr int64_t kSaturated = 1'000'000'000'000;
  size_t at = token[0] == '-' ? 1 : 0;
  int64_t magnitude = 0;  // power of ten of the first digit that is not zero, plus one
  bool after_point = false;
  bool found = false;
  for (; at < token.size() && (IsDigit(token[at]) || token[at] == '.'); ++at) {
    if (token[at] == '.') {
      after_point = true;
    } else if (!found && token[at] == '0') {
      if (after_point) --magnitude;
    } else {
      found = true;
      if (!after_point) ++magnitude;
    }
  }
  if (!found) return false;
  int64_t exponent = 0;
  if (at < token.size()) {  // 'e' or 'E'
    ++at;
    const bool negative = token[at] == '-';
    if (token[at] == '-' || token[at] == '+') ++at;
    for (; at < token.size(); ++at) {
      exponent = std::min(exponent * 10 + (token[at] - '0'), kSaturated);
    }
    if (negative) exponent = -exponent;
  }
  return magnitude + exponent > 0;
}

}  // namespace

std::string_view FormatFloat(double value, FloatBuffer& buffer) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  if (value == 0) return std::signbit(value) ? "-0.0" : "0.0";
  // The shortest digits that read back, nearest to the exact value, as d1[.d2...]e(+|-)XX.
  std::array<char, 32> raw;
  const auto written =
      std::to_chars(raw.data(), raw.data() + raw.size(), value, std::chars_format::scientific);
  const std::string_view text(raw.data(), static_cast<size_t>(written.ptr - raw.data()));
  const size_t e = text.find('e');
  std::array<char, 20> digits;
  size_t count = 0;
  for (const char c : text.substr(0, e)) {
    if (IsDigit(c)) digits[count++] = c;
  }
  int exponent = 0;
  std::from_chars(text.data() + e + 2, text.data() + text.size(), exponent);
  if (text[e + 1] == '-') exponent = -exponent;

  char* out = buffer.data();
  const auto put = [&](char c) { *out++ = c; };
  if (text[0] == '-') put('-');
  if (exponent >= 16 || exponent < -4) {
    put(digits[0]);
    if (count > 1) put('.');
    out = std::copy(digits.begin() + 1, digits.begin() + static_cast<ptrdiff_t>(count), out);
    // to_chars already writes the sign and at least two digits.
    out = std::copy(text.begin() + static_cast<ptrdiff_t>(e), text.end(), out);
  } else if (exponent < 0) {
    put('0');
    put('.');
    for (int i = -1; i > exponent; --i) put('0');
    out = std::copy(digits.begin(), digits.begin() + static_cast<ptrdiff_t>(count), out);
  } else {
    const size_t whole = static_cast<size_t>(exponent) + 1;
    for (size_t i = 0; i < whole; ++i) put(i < count ? digits[i] : '0');
    put('.');
    if (count <= whole) put('0');
    for (size_t i = whole; i < count; ++i) put(digits[i]);
  }
  return {buffer.data(), static_cast<size_t>(out - buffer.data())};
}

double ParseNumberToken(std::string_view token) {
  double value = 0;
  const auto read = std::from_chars(token.data(), token.data() + token.size(), value);
  if (read.ec == std::errc()) return value;
  const double magnitude = IsHuge(token) ? std::numeric_limits<double>::infinity() : 0.0;
  return token[0] == '-' ? -magnitude : magnitude;
}

NumberToken ScanNumber(std::string_view text) {
  NumberToken token;
  size_t at = 0;
  const auto run = [&] {
    const size_t start = at;
    while (at < text.size() && IsDigit(text[at])) ++at;
    return at - start;
  };
  if (at < text.size() && text[at] == '-') ++at;
  if (at < text.size() && text[at] == '0') {
    ++at;
    token.digits = 1;
    if (at < text.size() && IsDigit(text[at])) return {};
  } else {
    token.digits = run();
    if (token.digits == 0) return {};
  }
  if (at < text.size() && text[at] == '.') {
    ++at;
    token.is_float = true;
    if (run() == 0) return {};
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    token.is_float = true;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (run() == 0) return {};
  }
  token.length = at;
  return token;
}

}  // namespace auspex::json_internal
