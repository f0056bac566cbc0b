// SPDX-License-Identifier: AGPL-3.0-only
#include "common/json/utf8.h"

namespace auspex {

Utf8Character DecodeUtf8(std::string_view text, bool allow_surrogates) {
  if (text.empty()) return {};
  const auto lead = static_cast<uint8_t>(text[0]);
  if (lead < 0x80) return {lead, 1};
  size_t length;
  uint32_t code_point, least;
  if ((lead & 0xe0) == 0xc0) {
    length = 2, code_point = lead & 0x1f, least = 0x80;
  } else if ((lead & 0xf0) == 0xe0) {
    length = 3, code_point = lead & 0x0f, least = 0x800;
  } else if ((lead & 0xf8) == 0xf0) {
    length = 4, code_point = lead & 0x07, least = 0x10000;
  } else {
    return {};
  }
  if (text.size() < length) return {};
  for (size_t i = 1; i < length; ++i) {
    const auto octet = static_cast<uint8_t>(text[i]);
    if ((octet & 0xc0) != 0x80) return {};
    code_point = code_point << 6 | (octet & 0x3f);
  }
  // Overlong forms and what lies beyond Unicode would give one character two spellings.
  if (code_point < least || code_point > 0x10ffff) return {};
  if (!allow_surrogates && code_point >= 0xd800 && code_point <= 0xdfff) return {};
  return {code_point, length};
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = DecodeUtf8(text).length;
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace auspex
