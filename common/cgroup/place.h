// SPDX-License-Identifier: AGPL-3.0-only
// Where this process stands in the cgroup v2 hierarchy. Pure function, any thread.
#ifndef AUSPEX_COMMON_CGROUP_PLACE_H_
#define AUSPEX_COMMON_CGROUP_PLACE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace auspex {

struct CgroupPlace {
  std::string mount;   // where the hierarchy, or a part of it, is mounted
  std::string folder;  // this process's cgroup, below `mount` or the same
};

// From the texts of /proc/self/cgroup and /proc/self/mountinfo. On a hybrid host the hierarchy may
// be mounted anywhere, and a container may show a part of it. FAILED_PRECONDITION with the cause
// and what the owner can do: no cgroup v2 in this kernel, v1 only, not mounted, not shown here.
absl::StatusOr<CgroupPlace> FindCgroupPlace(std::string_view self_cgroup,
                                            std::string_view mountinfo);

}  // namespace auspex

#endif  // AUSPEX_COMMON_CGROUP_PLACE_H_
