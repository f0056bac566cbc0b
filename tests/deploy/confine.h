// SPDX-License-Identifier: AGPL-3.0-only
// Confine: the lines of a service unit that say what the process may not do, put in force by the test as systemd would, as far as that
// needs no cgroup. For a forked child before exec.
#ifndef AUSPEX_TESTS_DEPLOY_CONFINE_H_
#define AUSPEX_TESTS_DEPLOY_CONFINE_H_

#include <sys/types.h>

#include <string>

#include "tests/deploy/unit_file.h"

namespace auspex::deploy {

// PrivateNetwork=, ProtectSystem=strict with StateDirectory=, PrivateTmp=, ProtectProc= and ProcSubset=. As root. False when a step
// fails; errno says why.
bool ConfineFiles(const UnitFile& unit);

// A seccomp filter from SystemCallFilter=, RestrictAddressFamilies=, RestrictNamespaces=, MemoryDenyWriteExecute=, and what
// RestrictSUIDSGID= means for openat2. Made before the fork.
class CallFilter {
 public:
  explicit CallFilter(const UnitFile& unit);
  ~CallFilter();
  CallFilter(const CallFilter&) = delete;
  CallFilter& operator=(const CallFilter&) = delete;
  // After no-new-privileges.
  bool Load() const;

 private:
  void* context_;
};

}  // namespace auspex::deploy

#endif  // AUSPEX_TESTS_DEPLOY_CONFINE_H_
