// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/output/json_text.h"

#include <cmath>

#include "common/json/canonical.h"

namespace auspex::cli {
namespace {

// DEL is the one control character that canonical strings leave as it is.
std::string Text(std::string_view wtf8) {
  std::string out;
  for (char c : CanonicalString(wtf8)) {
    if (c == '\x7f') {
      out += "\\u007f";
    } else {
      out += c;
    }
  }
  return out;
}

// Recursion is bounded by the depth that the reader lets in, and by what this program composes
// itself.
void Write(const JsonValue& value, int indent, std::string& out) {
  if (const JsonObject* object = value.as_object(); object != nullptr && !object->empty()) {
    out += "{\n";
    bool first = true;
    for (const auto& [name, member] : *object) {
      if (!first) out += ",\n";
      first = false;
      out.append(indent + 2, ' ');
      out += Text(name);
      out += ": ";
      Write(member, indent + 2, out);
    }
    out += '\n';
    out.append(indent, ' ');
    out += '}';
  } else if (const JsonArray* array = value.as_array(); array != nullptr && !array->empty()) {
    out += "[\n";
    for (size_t i = 0; i < array->size(); ++i) {
      if (i > 0) out += ",\n";
      out.append(indent + 2, ' ');
      Write((*array)[i], indent + 2, out);
    }
    out += '\n';
    out.append(indent, ' ');
    out += ']';
  } else if (const double* number = value.as_float();
             number != nullptr && !std::isfinite(*number)) {
    out += "null";
  } else if (const std::string* text = value.as_string()) {
    out += Text(*text);
  } else {
    out += WriteCanonical(value);
  }
}

}  // namespace

std::string IndentedJson(const JsonValue& value) {
  std::string out;
  Write(value, 0, out);
  return out;
}

}  // namespace auspex::cli
