// SPDX-License-Identifier: AGPL-3.0-only
// Cat: joins text and integers into a std::string, for error messages and composed lines. It exists because
// Debian's absl::StrCat does not take std::string_view. Pure functions, safe from any thread.
#ifndef AUSPEX_COMMON_BASE_CAT_H_
#define AUSPEX_COMMON_BASE_CAT_H_

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

namespace auspex {

namespace cat_internal {
inline void Append(std::string& out, std::string_view piece) { out.append(piece); }
inline void Append(std::string& out, char piece) { out.push_back(piece); }
template <typename T>
requires(std::integral<T> && !std::same_as<T, char> &&
         !std::same_as<T, bool>) void Append(std::string& out, T number) {
  char buffer[24];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, number);
  out.append(buffer, end);
  (void)error;  // 24 octets hold every 64-bit integer.
}
// A number with a fraction has no one form, and would pass for a character.
template <std::floating_point T>
void Append(std::string& out, T number) = delete;
}  // namespace cat_internal

// Concatenates its arguments: anything that converts to std::string_view, single characters, integers in decimal.
template <typename... Pieces>
std::string Cat(const Pieces&... pieces) {
  std::string out;
  (cat_internal::Append(out, pieces), ...);
  return out;
}

}  // namespace auspex

#endif  // AUSPEX_COMMON_BASE_CAT_H_
