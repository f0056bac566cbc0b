// SPDX-License-Identifier: AGPL-3.0-only
// SpawnChild: the one way in which runnerd starts programs. As vfork it borrows the parent's memory
// instead of copying its page tables, so that a large parent costs nothing; and the child is born
// in its cgroup, so that there is no moment in which its limits do not hold. Safe from any thread;
// blocks the caller until the child has called exec or failed.
#ifndef AUSPEX_RUNNERD_SPAWN_H_
#define AUSPEX_RUNNERD_SPAWN_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace auspex::runnerd {

struct Spawned {
  pid_t pid = -1;
  UniqueFd pidfd;
};

// Starts arguments[0] (an absolute path) with an empty environment, default signals, none blocked,
// and exactly these descriptors: descriptors[i] becomes i, everything else is closed. `cgroup` is
// the folder of its cgroup, or -1: the caller's. An ErrnoStatus naming the program when it could
// not be started; then no process is left.
absl::StatusOr<Spawned> SpawnChild(const std::vector<std::string>& arguments,
                                   const std::vector<int>& descriptors, int cgroup = -1);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_SPAWN_H_
