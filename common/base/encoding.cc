// SPDX-License-Identifier: AGPL-3.0-only
#include "common/base/encoding.h"

#include <array>
#include <cstdint>

namespace auspex {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kStandard =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrlSafe =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr std::array<int8_t, 256> MakeReverse() {
  std::array<int8_t, 256> table{};
  table.fill(-1);
  for (size_t i = 0; i < kStandard.size(); ++i) {
    table[static_cast<uint8_t>(kStandard[i])] = static_cast<int8_t>(i);
  }
  return table;
}
constexpr std::array<int8_t, 256> kReverse = MakeReverse();

std::string EncodeWith(std::string_view alphabet, std::string_view octets, bool pad) {
  std::string out;
  out.reserve((octets.size() + 2) / 3 * 4);
  for (size_t i = 0; i < octets.size(); i += 3) {
    const size_t have = octets.size() - i < 3 ? octets.size() - i : 3;
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      group = group << 8 | (j < have ? static_cast<uint8_t>(octets[i + j]) : 0);
    }
    for (size_t j = 0; j < 4; ++j) {
      if (j <= have) {
        out.push_back(alphabet[group >> (18 - 6 * j) & 63]);
      } else if (pad) {
        out.push_back('=');
      }
    }
  }
  return out;
}

}  // namespace

std::string HexEncode(std::string_view octets) {
  std::string out;
  out.reserve(octets.size() * 2);
  for (const char c : octets) {
    out.push_back(kHex[static_cast<uint8_t>(c) >> 4]);
    out.push_back(kHex[static_cast<uint8_t>(c) & 15]);
  }
  return out;
}

std::optional<std::string> HexDecode(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string out;
  out.reserve(hex.size() / 2);
  for (size_t i = 0; i < hex.size(); i += 2) {
    const int high = HexValue(hex[i]);
    const int low = HexValue(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<char>(high << 4 | low));
  }
  return out;
}

std::string Base64Encode(std::string_view octets) { return EncodeWith(kStandard, octets, true); }

std::string Base64UrlEncode(std::string_view octets) { return EncodeWith(kUrlSafe, octets, false); }

std::optional<std::string> Base64Decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    size_t pad = 0;
    if (last && text[i + 3] == '=') pad = text[i + 2] == '=' ? 2 : 1;
    uint32_t group = 0;
    for (size_t j = 0; j < 4; ++j) {
      int value = 0;
      if (j < 4 - pad) {
        value = kReverse[static_cast<uint8_t>(text[i + j])];
        if (value < 0) return std::nullopt;
      }
      group = group << 6 | static_cast<uint32_t>(value);
    }
    // Two spellings of one value would let the same octets travel under two texts.
    if ((pad == 1 && (group & 0xff) != 0) || (pad == 2 && (group & 0xffff) != 0)) {
      return std::nullopt;
    }
    for (size_t j = 0; j < 3 - pad; ++j) out.push_back(static_cast<char>(group >> (16 - 8 * j)));
  }
  return out;
}

}  // namespace auspex
