// SPDX-License-Identifier: AGPL-3.0-only
#include "common/cgroup/aside.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <vector>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"
#include "common/cgroup/control_file.h"
#include "common/files/files.h"

namespace auspex {
namespace {

constexpr char kProcesses[] = "cgroup.procs";

UniqueFd OpenFolder(int at, const char* path) {
  return UniqueFd(openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

}  // namespace

std::string CgroupBase(const CgroupPlace& place) {
  std::string base = place.folder;
  if (const size_t slash = base.rfind('/'); std::string_view(base).substr(slash + 1) == kDaemonLeaf)
    base.resize(std::max<size_t>(slash, 1));
  return base;
}

bool IsDelegatedWhole(int folder) {
  for (const char* name : {"user.delegate", "trusted.delegate"}) {
    char value[2];
    if (fgetxattr(folder, name, value, sizeof value) == 1 && value[0] == '1') return true;
  }
  return false;
}

absl::Status StandAside() {
  ASSIGN_OR_RETURN(const std::string own, ReadFile("/proc/self/cgroup", 64 * 1024));
  ASSIGN_OR_RETURN(const std::string mounts, ReadFile("/proc/self/mountinfo", 16 << 20));
  ASSIGN_OR_RETURN(const CgroupPlace place, FindCgroupPlace(own, mounts));
  if (CgroupBase(place) != place.folder) return absl::OkStatus();  // there already
  const UniqueFd base = OpenFolder(AT_FDCWD, place.folder.c_str());
  if (!base) return ErrnoStatus(errno, "open", place.folder);
  // The root of the hierarchy may hold processes.
  if (!HasControl(base.get(), "cgroup.type")) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string list, ReadControl(base.get(), kProcesses));
  std::vector<std::string> processes = Words(list);
  if (!IsDelegatedWhole(base.get()) && processes != std::vector{Cat(getpid())})
    return absl::FailedPreconditionError(Cat("other processes stand in ", place.folder));
  if (mkdirat(base.get(), kDaemonLeaf, 0755) != 0 && errno != EEXIST)
    return ErrnoStatus(errno, "make cgroup", kDaemonLeaf);
  const UniqueFd leaf = OpenFolder(base.get(), kDaemonLeaf);
  if (!leaf) return ErrnoStatus(errno, "open cgroup", kDaemonLeaf);
  RETURN_IF_ERROR(WriteControl(leaf.get(), kProcesses, "0"));
  // One that has ended meanwhile is none to move.
  for (const std::string& pid : processes) (void)WriteControl(leaf.get(), kProcesses, pid);
  return absl::OkStatus();
}

}  // namespace auspex
