// SPDX-License-Identifier: AGPL-3.0-only
// JSON for people and scripts: the canonical spelling of every value, one member a line, indented
// by two blanks. What --json prints. ASCII only, so no value can move a terminal. Pure function,
// safe from any thread.
#ifndef AUSPEX_CLI_OUTPUT_JSON_TEXT_H_
#define AUSPEX_CLI_OUTPUT_JSON_TEXT_H_

#include <string>

#include "common/json/value.h"

namespace auspex::cli {

// `value` without a line end after it. Members are sorted. A number that JSON cannot spell (NaN,
// infinity) becomes null.
std::string IndentedJson(const JsonValue& value);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_OUTPUT_JSON_TEXT_H_
