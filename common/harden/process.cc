// SPDX-License-Identifier: AGPL-3.0-only
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>

#include "common/base/errno_status.h"
#include "common/harden/harden.h"

namespace auspex {

absl::Status DisableDumps() {
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0) return ErrnoStatus(errno, "limit", "core dumps");
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return ErrnoStatus(errno, "clear", "dumpable");
  rlimit now{1, 1};
  if (::prctl(PR_GET_DUMPABLE) != 0 || ::getrlimit(RLIMIT_CORE, &now) != 0 || now.rlim_max != 0) {
    return absl::InternalError("no-dump: the kernel did not keep the setting");
  }
  return absl::OkStatus();
}

absl::Status NoNewPrivileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ErrnoStatus(errno, "set", "no-new-privileges");
  }
  if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
    return absl::InternalError("no-new-privileges: the kernel did not keep the setting");
  }
  return absl::OkStatus();
}

}  // namespace auspex
