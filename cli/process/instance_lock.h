// SPDX-License-Identifier: AGPL-3.0-only
// The two locks by which several auspex commands share one worker, in the folder RunDir("command"):
//
//   supervisor.lock   held by `auspex daemon` for as long as it runs
//   start.lock        held by whoever may start daemons: `auspex daemon` for as long as it runs,
//   any other command only while
//                     daemons that it started itself for its own duration are up
//
// Open-file-description locks: the kernel drops them with the process, and asking who holds one
// does not take it.
#ifndef AUSPEX_CLI_PROCESS_INSTANCE_LOCK_H_
#define AUSPEX_CLI_PROCESS_INSTANCE_LOCK_H_

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace auspex::cli {

// The lock for the life of the returned descriptor. FAILED_PRECONDITION "<path> is held by process
// N" when somebody has it. Makes the file when it is missing; its folder must exist. Waits at most
// `timeout_ms`.
absl::StatusOr<UniqueFd> TakeLock(const std::string& path, int timeout_ms);

// The process that holds the lock; 0 when nobody does; -1 when its number cannot be read.
pid_t HolderOf(const std::string& path);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_PROCESS_INSTANCE_LOCK_H_
