// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/service/unit_text.h"

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/ids/ids.h"

namespace auspex::cli {

std::vector<UnitLine> UnitLines(std::string_view text) {
  std::vector<UnitLine> lines;
  std::string section;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty() || line[0] == '#') continue;
    if (line[0] == '[') {
      section = std::string(line.substr(1, line.find(']') - 1));
    } else if (const size_t equals = line.find('='); equals != std::string_view::npos) {
      lines.push_back(
          {section, std::string(line.substr(0, equals)), std::string(line.substr(equals + 1))});
    }
  }
  return lines;
}

std::vector<std::string> WordsOf(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t blank = std::min(text.find(' '), text.size());
    if (blank > 0) words.emplace_back(text.substr(0, blank));
    text.remove_prefix(std::min(text.size(), blank + 1));
  }
  return words;
}

absl::StatusOr<std::string> UnitValue(std::string_view text) {
  std::string value;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f || c == '"' || c == '\'' || c == '\\' ||
        c == '$') {
      return absl::InvalidArgumentError(
          Cat(Printable(text),
              ": has a character that a unit file cannot name; choose another folder"));
    }
    value += c;
    // A single one begins a specifier.
    if (c == '%') value += c;
  }
  return value;
}

absl::StatusOr<std::string> UnitWord(std::string_view text) {
  ASSIGN_OR_RETURN(std::string value, UnitValue(text));
  return value.find(' ') == std::string::npos && value.find(';') != 0 ? value
                                                                      : Cat("\"", value, "\"");
}

}  // namespace auspex::cli
