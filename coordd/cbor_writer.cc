// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/cbor_writer.h"

#include <algorithm>

namespace auspex::coordd::cbor {
namespace {

std::string Head(uint8_t major, uint64_t value) {
  std::string out;
  const auto first = static_cast<uint8_t>(major << 5);
  int octets = 0;
  if (value < 24) {
    out.push_back(static_cast<char>(first | value));
  } else if (value <= 0xff) {
    out.push_back(static_cast<char>(first | 24));
    octets = 1;
  } else if (value <= 0xffff) {
    out.push_back(static_cast<char>(first | 25));
    octets = 2;
  } else if (value <= 0xffffffff) {
    out.push_back(static_cast<char>(first | 26));
    octets = 4;
  } else {
    out.push_back(static_cast<char>(first | 27));
    octets = 8;
  }
  for (int i = octets - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}

}  // namespace

std::string Unsigned(uint64_t value) { return Head(0, value); }
std::string Bytes(std::string_view octets) { return Head(2, octets.size()).append(octets); }
std::string Text(std::string_view utf8) { return Head(3, utf8.size()).append(utf8); }

std::string Array(const std::vector<std::string>& encoded_items) {
  std::string out = Head(4, encoded_items.size());
  for (const std::string& item : encoded_items) out += item;
  return out;
}

std::string Map(const std::map<std::string, std::string>& encoded_values) {
  std::vector<std::pair<std::string, std::string>> items(encoded_values.begin(),
                                                         encoded_values.end());
  std::stable_sort(items.begin(), items.end(), [](const auto& a, const auto& b) {
    return a.first.size() != b.first.size() ? a.first.size() < b.first.size() : a.first < b.first;
  });
  std::string out = Head(5, items.size());
  for (const auto& [key, value] : items) out += Text(key) + value;
  return out;
}

}  // namespace auspex::coordd::cbor
