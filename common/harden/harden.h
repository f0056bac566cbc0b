// SPDX-License-Identifier: AGPL-3.0-only
// What a daemon takes away from itself after start-up and before it serves. Each function names the layer it failed to put in place; callers
// decide whether that refuses the start. Call from the main thread before other threads exist unless said otherwise: filters apply
// to the calling thread and its later children (RestrictSyscalls and RestrictFiles cover all threads where the kernel can).
#ifndef AUSPEX_COMMON_HARDEN_HARDEN_H_
#define AUSPEX_COMMON_HARDEN_HARDEN_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace auspex {

// PR_SET_DUMPABLE 0 and RLIMIT_CORE 0; verified by reading back.
absl::Status DisableDumps();
// PR_SET_NO_NEW_PRIVS; verified.
absl::Status NoNewPrivileges();

// File access by Landlock, limited to what is listed; missing paths are skipped. UNIMPLEMENTED when the kernel has no Landlock.
struct FileRules {
  std::vector<std::string>
      read_only;  // files or folders: read, list, (execute only where `execute` names it)
  std::vector<std::string> read_write;  // files or folders: everything but execute
  std::vector<std::string> execute;     // files or folders: read and execute
};
absl::Status RestrictFiles(const FileRules& rules);

// Seccomp: socket(2) only for AF_UNIX (others fail with EAFNOSUPPORT), and no socketcall; verified by trying. For every daemon but netd (P14).
absl::Status OnlyUnixSockets();
// The same, but AF_NETLINK too: bubblewrap, which inherits the filter, brings the loopback of a new network namespace up through it. For runnerd.
absl::Status OnlyUnixAndNetlinkSockets();
// Seccomp: connect(2) fails with EPERM. For a daemon that only answers, once it listens: what it cannot read it cannot have another
// service of the user read for it either.
absl::Status DenyConnect();
// Seccomp: execve and execveat fail with EPERM; verified by trying. For keyd, stated and netd.
absl::Status DenyExec();
// Seccomp: threads, but no process of its own: fork, vfork and a clone that makes no thread fail with EPERM; verified by trying.
// Whoever ends the caller then has ended all that came of it.
absl::Status DenyProcesses();

}  // namespace auspex

#endif  // AUSPEX_COMMON_HARDEN_HARDEN_H_
