// SPDX-License-Identifier: AGPL-3.0-only
// RunProcessTree: starts one sandbox (or the built-in executor without one), feeds it, keeps what
// it says within bounds, freezes it or ends it when asked, ends it at its deadline, and returns only
// when every process of it is dead and its cgroup removed. The calling thread must live until it
// returns. Safe from several threads at once.
#ifndef AUSPEX_RUNNERD_SANDBOX_RUN_H_
#define AUSPEX_RUNNERD_SANDBOX_RUN_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"
#include "runnerd/cgroup/tree.h"
#include "runnerd/run_control.h"

namespace auspex::runnerd {

struct RunRequest {
  std::vector<std::string> arguments;  // bubblewrap's line, or our own program's
  const UniqueFd* seccomp =
      nullptr;  // the filter, lent: arguments are bubblewrap's; null: no sandbox, one plain process
  std::vector<UniqueFd> shown;  // places of the host that bubblewrap binds, from descriptor 5 on
  int input_fd = -1;            // becomes descriptor 0; offset where reading starts
  double wall_seconds = 600;    // does not count while the unit is frozen
  double max_frozen_seconds = 600;     // in all; then it ends as EndReason::kFrozenTooLong
  size_t max_report_octets = 2 << 20;  // of descriptor 1
  // Takes what descriptor 1 says, in pieces, in place of the report; called on the thread of the
  // run. False ends the run at once.
  std::function<bool(std::string_view)> take_report;
  // Lent; where the cgroup is made. Null, or one that is not usable: the unit gets none, and limits
  // are what its rlimits and the clock hold.
  CgroupTree* cgroups = nullptr;
  CgroupLimits limits;
};

struct RunOutcome {
  enum class End {
    kByItself,   // the first process ended
    kDeadline,   // killed at its wall-clock limit
    kRequested,  // ended because `control` asked
    kNotTaken,   // killed because of what it said
  };
  End end = End::kByItself;
  bool killed = false;  // SIGKILL was sent
  bool exited = false;  // of the outermost process
  int exit_status = 0;  // its exit status, or the signal that ended it
  std::string report;   // all of descriptor 1, within the limit
  bool report_overflow = false;
  std::string stderr_tail;  // last octets of descriptor 2 (bubblewrap's and the tenant's)
  CgroupUsage usage;        // empty without a cgroup
  double frozen_seconds = 0;
};

// Failure means that nothing was started (a limit that cannot be set included). The outcome's
// processes are all dead; should the kernel not let one die within 10 s, INTERNAL says so.
absl::StatusOr<RunOutcome> RunProcessTree(const RunRequest& request, RunControl& control);

// A sealed memory file with `octets`, at offset 0: input for RunRequest.
absl::StatusOr<UniqueFd> MemoryFile(std::string_view octets);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_SANDBOX_RUN_H_
