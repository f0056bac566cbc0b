// SPDX-License-Identifier: AGPL-3.0-only
// The owner's limits of units as the kernel's cgroups take them, and what a unit that met one is
// told. Pure functions, any thread.
//
// How the limits of memory relate: sandbox.memory_max_mb is the memory of the unit as a whole
// (memory.max): its processes, what it has written to its scratch, and what the kernel holds for
// it. The same number bounds the address space of each of its processes (RLIMIT_AS), as it does
// alone on hosts without cgroup v2. The scratch has a size of its own (sandbox.scratch_mb, else a
// quarter of the memory), which does not add to the memory: what is in the scratch is memory that
// the processes cannot have.
#ifndef AUSPEX_RUNNERD_UNIT_LIMITS_H_
#define AUSPEX_RUNNERD_UNIT_LIMITS_H_

#include <optional>
#include <string>

#include "common/config/config.h"
#include "runnerd/cgroup/tree.h"
#include "runnerd/sandbox_run.h"

namespace auspex::runnerd {

// Of one unit; nothing with sandbox.resource_limits off.
CgroupLimits UnitLimits(const Config& config);
// Puts them, and the owner's bound on freezing, into the request for one unit.
void ApplyLimits(const Config& config, RunRequest& request);
// Of all units together.
CgroupTotals UnitTotals(const Config& config);

// The limit that ended a unit, in words that name it; nullopt: none did.
std::optional<std::string> EndedByLimit(const CgroupUsage& usage, const CgroupLimits& limits);
// What a failure's reason says beside: forks that were refused. Empty: none were.
std::string AlsoMetLimit(const CgroupUsage& usage, const CgroupLimits& limits);

// The layer that sandbox.require_cgroup misses, as a reason to refuse; nullopt: nothing is missing
// or nothing is required.
std::optional<std::string> MissingCgroup(const Config& config, const CgroupTree* cgroups);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_UNIT_LIMITS_H_
