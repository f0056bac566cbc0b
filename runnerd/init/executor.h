// SPDX-License-Identifier: AGPL-3.0-only
// Runs a tenant's executor as the only child of the sandbox's first process, and takes its output
// file.
#ifndef AUSPEX_RUNNERD_INIT_EXECUTOR_H_
#define AUSPEX_RUNNERD_INIT_EXECUTOR_H_

#include <cstdint>

namespace auspex::unit_init {

// All in octets, counts or seconds; 0: no limit.
struct Limits {
  uint64_t max_output = 0;
  uint64_t open_files = 0;
  uint64_t file_size = 0;
  uint64_t address_space = 0;
  uint64_t processes = 0;
  uint64_t cpu_seconds = 0;
  uint64_t scratch_files = 0;  // files, folders and links in the scratch at one time
};

// Writes descriptor 0 to kInputPath, runs `command` (ends with a null pointer; its first element is
// searched in PATH), hands SIGTERM on to it, reaps orphans, and when it has ended kills all that is
// left, then reports on descriptor 1. Only for process 1 of a process namespace. Returns the exit
// status.
int RunExecutor(const Limits& limits, char** command);

}  // namespace auspex::unit_init

#endif  // AUSPEX_RUNNERD_INIT_EXECUTOR_H_
