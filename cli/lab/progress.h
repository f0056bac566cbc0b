// SPDX-License-Identifier: AGPL-3.0-only
// ProgressDisplay: how the lab shows that it moves: one line redrawn on a terminal, else a plain
// line per change, at most one a second. Says nothing with --json. One thread.
#ifndef AUSPEX_CLI_LAB_PROGRESS_H_
#define AUSPEX_CLI_LAB_PROGRESS_H_

#include <chrono>
#include <string>

#include "cli/lab/coordinator.h"
#include "cli/output/output.h"

namespace auspex::cli::lab {

// "[######....]  12/24 units" and so on, for `width` columns. Pure.
std::string ProgressLine(const LabProgress& progress, double seconds, int width, bool utf8);

class ProgressDisplay {
 public:
  explicit ProgressDisplay(const Output& output) : output_(output) {}
  // A step of the work as a whole: "starting 2 workers".
  void Step(const std::string& text);
  void Update(const LabProgress& progress, double seconds);
  // Ends the redrawn line, if there is one.
  void End();

 private:
  const Output& output_;
  bool drawn_ = false;
  std::string last_;
  std::chrono::steady_clock::time_point last_time_{};
};

}  // namespace auspex::cli::lab

#endif  // AUSPEX_CLI_LAB_PROGRESS_H_
