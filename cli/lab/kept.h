// SPDX-License-Identifier: AGPL-3.0-only
// A lab that was left running (--keep), and its end (--stop DIR). What is needed to stop it is in
// DIR/processes: one process number a line, workers before the coordinator.
#ifndef AUSPEX_CLI_LAB_KEPT_H_
#define AUSPEX_CLI_LAB_KEPT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace auspex::cli::lab {

absl::Status WriteProcesses(const std::string& directory, const std::vector<int>& processes);

// Stops the processes of the lab in `directory`, one after the other, and removes the directory.
// Only processes whose command line names the directory are touched: a number may have been given
// to somebody else meanwhile. NOT_FOUND when no kept lab is there.
absl::Status StopKeptLab(const std::string& directory);

}  // namespace auspex::cli::lab

#endif  // AUSPEX_CLI_LAB_KEPT_H_
