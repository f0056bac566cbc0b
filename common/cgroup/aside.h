// SPDX-License-Identifier: AGPL-3.0-only
// The leaf for a worker's daemons. The kernel lets a cgroup give controllers to its children only
// while no process stands in itself, so whoever starts in a delegated cgroup goes into this leaf of
// it, and runnerd makes the units' cgroups beside. Any thread.
#ifndef AUSPEX_COMMON_CGROUP_ASIDE_H_
#define AUSPEX_COMMON_CGROUP_ASIDE_H_

#include <string>

#include "absl/status/status.h"
#include "common/cgroup/place.h"

namespace auspex {

inline constexpr char kDaemonLeaf[] = "auspex-daemon";

// The cgroup that a process at `place` may have been given: its own, or that which it went aside in.
std::string CgroupBase(const CgroupPlace& place);

// Whether systemd marked the cgroup as delegated whole, the processes in it included.
bool IsDelegatedWhole(int folder);

// Moves this process into the leaf, before it starts others: where the cgroup is its own alone, or
// was delegated whole, then with all that stand in it. FAILED_PRECONDITION or the kernel's error
// when it stays where it is, which is no failure of a worker: runnerd finds out and tells what its
// units go without.
absl::Status StandAside();

}  // namespace auspex

#endif  // AUSPEX_COMMON_CGROUP_ASIDE_H_
