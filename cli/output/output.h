// SPDX-License-Identifier: AGPL-3.0-only
// Output: the only way in which a verb writes. Results go to standard output, troubles to standard
// error in the form
//
//   auspex: <thing>: <cause>
//   next: <what to do>
//
// Text from outside must have been through Printable (common/ids); Output does it itself for
// causes, which quote others. Use from one thread.
#ifndef AUSPEX_CLI_OUTPUT_OUTPUT_H_
#define AUSPEX_CLI_OUTPUT_OUTPUT_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "cli/output/terminal.h"
#include "common/json/value.h"

namespace auspex::cli {

// Exit codes of the command (worker behaviour, section 1.1).
inline constexpr int kExitOk = 0;       // success, or nothing to do
inline constexpr int kExitFailure = 1;  // something did not work
inline constexpr int kExitRefused = 2;  // wrong usage, or refusal to start

class Output {
 public:
  // `program` is the name that the command was called by.
  Output(std::string program, Terminal terminal, bool json)
      : program_(std::move(program)), terminal_(terminal), json_(json) {}

  const Terminal& terminal() const { return terminal_; }
  const std::string& program() const { return program_; }
  // True when the owner asked for --json: then one document is printed, with Json, and nothing else
  // on standard output.
  bool json() const { return json_; }

  void Line(std::string_view text) const;
  void Json(const JsonValue& value) const;
  // "key:   value", values aligned. An empty value is left out.
  void Fields(const std::vector<std::pair<std::string, std::string>>& fields) const;
  // Columns aligned to their widest cell, two blanks between; no header when `header` is empty.
  void Table(const std::vector<std::string>& header,
             const std::vector<std::vector<std::string>>& rows) const;

  // Standard error. `next` may be empty.
  void Error(std::string_view thing, std::string_view cause, std::string_view next = {}) const;
  // The same for a status; a cause that has an obvious way out brings it as `next`.
  void Error(std::string_view thing, const absl::Status& status, std::string_view next = {}) const;
  void Warning(std::string_view thing, std::string_view cause) const;
  // A remark that is neither result nor trouble, on standard error.
  void Note(std::string_view text) const;

  // Flushes standard output; kExitFailure instead of kExitOk when that fails (disk full, closed
  // pipe).
  int Finish(int code) const;

 private:
  std::string program_;
  Terminal terminal_;
  bool json_;
};

// Text of unknown origin for one line: non-printable octets escaped, at most 2000 characters.
std::string Clean(std::string_view untrusted_text);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_OUTPUT_OUTPUT_H_
