// SPDX-License-Identifier: AGPL-3.0-only
// Unit files as text: read as far as our own need it, and values written so that systemd reads back what was meant (systemd.syntax(7),
// systemd.unit(5) "Specifiers", systemd.service(5) "Command lines"). Pure functions, safe from any thread.
#ifndef AUSPEX_CLI_SERVICE_UNIT_TEXT_H_
#define AUSPEX_CLI_SERVICE_UNIT_TEXT_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace auspex::cli {

struct UnitLine {
  std::string section, key, value;
};

// The settings in their order, without comments. Lines that go on in the next one are not known here: our units have none.
std::vector<UnitLine> UnitLines(std::string_view text);
// The words between blanks.
std::vector<std::string> WordsOf(std::string_view text);

// `text` as a whole value. INVALID_ARGUMENT for what cannot be said in every place of a unit: control characters, quotes, backslash, $.
absl::StatusOr<std::string> UnitValue(std::string_view text);
// The same as one word of a command line or of Environment=.
absl::StatusOr<std::string> UnitWord(std::string_view text);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_SERVICE_UNIT_TEXT_H_
