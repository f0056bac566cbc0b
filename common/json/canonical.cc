// SPDX-License-Identifier: AGPL-3.0-only
#include "common/json/canonical.h"

#include "common/json/number.h"
#include "common/json/utf8.h"

namespace auspex {
namespace {

void AppendUnit(std::string& out, uint32_t unit) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out.push_back(kHex[unit >> shift & 15]);
}

void AppendCharacter(std::string& out, uint32_t c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  if (c >= 0x20 && c <= 0x7e) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x10000) {
    AppendUnit(out, c);
  } else {
    AppendUnit(out, 0xd800 + ((c - 0x10000) >> 10));
    AppendUnit(out, 0xdc00 + ((c - 0x10000) & 0x3ff));
  }
}

void AppendString(std::string& out, std::string_view wtf8) {
  out.push_back('"');
  while (!wtf8.empty()) {
    const auto decoded = DecodeUtf8(wtf8, /*allow_surrogates=*/true);
    // The writer cannot fail, so that stray octets become the replacement character.
    AppendCharacter(out, decoded.length == 0 ? 0xfffd : decoded.code_point);
    wtf8.remove_prefix(decoded.length == 0 ? 1 : decoded.length);
  }
  out.push_back('"');
}

void AppendValue(std::string& out, const JsonValue& value) {
  if (const JsonObject* object = value.as_object()) {
    char before = '{';
    for (const auto& [name, member] : *object) {
      out.push_back(before);
      AppendString(out, name);
      out.push_back(':');
      AppendValue(out, member);
      before = ',';
    }
    out += object->empty() ? "{}" : "}";
  } else if (const JsonArray* array = value.as_array()) {
    char before = '[';
    for (const JsonValue& element : *array) {
      out.push_back(before);
      AppendValue(out, element);
      before = ',';
    }
    out += array->empty() ? "[]" : "]";
  } else if (const std::string* text = value.as_string()) {
    AppendString(out, *text);
  } else if (const JsonInteger* integer = value.as_integer()) {
    out += integer->digits;
  } else if (const double* number = value.as_float()) {
    json_internal::FloatBuffer buffer;
    out += json_internal::FormatFloat(*number, buffer);
  } else if (const bool* truth = value.as_bool()) {
    out += *truth ? "true" : "false";
  } else {
    out += "null";
  }
}

}  // namespace

std::string WriteCanonical(const JsonValue& value) {
  std::string out;
  AppendValue(out, value);
  return out;
}

std::string CanonicalFloat(double value) {
  json_internal::FloatBuffer buffer;
  return std::string(json_internal::FormatFloat(value, buffer));
}

std::string CanonicalString(std::string_view wtf8) {
  std::string out;
  out.reserve(wtf8.size() + 2);
  AppendString(out, wtf8);
  return out;
}

}  // namespace auspex
