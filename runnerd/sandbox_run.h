// SPDX-License-Identifier: AGPL-3.0-only
// RunProcessTree: starts one sandbox (or the built-in executor without one), feeds it, keeps what
// it says within bounds, ends it at its deadline or when asked, and returns only when every process
// of it is dead. The calling thread must live until it returns. Safe from several threads at once.
#ifndef AUSPEX_RUNNERD_SANDBOX_RUN_H_
#define AUSPEX_RUNNERD_SANDBOX_RUN_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"
#include "runnerd/run_control.h"

namespace auspex::runnerd {

struct RunRequest {
  std::vector<std::string> arguments;  // bubblewrap's line, or our own program's
  const UniqueFd* seccomp =
      nullptr;  // the filter, lent: arguments are bubblewrap's; null: no sandbox, one plain process
  std::vector<UniqueFd> shown;  // places of the host that bubblewrap binds, from descriptor 5 on
  int input_fd = -1;  // becomes descriptor 0; offset where reading starts
  double wall_seconds = 600;
  size_t max_report_octets = 2 << 20;  // of descriptor 1
};

struct RunOutcome {
  enum class End {
    kByItself,   // the first process ended
    kDeadline,   // killed at its wall-clock limit
    kRequested,  // ended because `control` asked
  };
  End end = End::kByItself;
  bool killed = false;  // SIGKILL was sent
  bool exited = false;  // of the outermost process
  int exit_status = 0;  // its exit status, or the signal that ended it
  std::string report;   // all of descriptor 1, within the limit
  bool report_overflow = false;
  std::string stderr_tail;  // last octets of descriptor 2 (bubblewrap's and the tenant's)
};

// Failure means that nothing was started. The outcome's processes are all dead; should the kernel
// not let one die within 10 s, INTERNAL says so.
absl::StatusOr<RunOutcome> RunProcessTree(const RunRequest& request, RunControl& control);

// A sealed memory file with `octets`, at offset 0: input for RunRequest.
absl::StatusOr<UniqueFd> MemoryFile(std::string_view octets);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_SANDBOX_RUN_H_
