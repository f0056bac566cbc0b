// SPDX-License-Identifier: AGPL-3.0-only
// What tenants may do, what serving takes, and what launching a sandbox takes on top. What that leaves out is what a taken-over
// runnerd would reach for in the kernel: other processes' memory and descriptors (ptrace, process_vm_readv, pidfd_getfd, kcmp),
// io_uring, bpf, perf, userfaultfd, keyrings, files by handle, modules, other kernels, swap, quotas, the clock, System V memory.
#include "runnerd/syscalls.h"

#include <linux/sockios.h>
#include <sys/socket.h>

#include "common/harden/serving_calls.h"
#include "runnerd/seccomp_policy.h"

namespace auspex::runnerd {
namespace {

// Rows for all that `policy` lets a tenant do.
void AddTenants(const SeccompPolicy& policy, AllowList& list) {
  for (const SyscallGroup& group : policy.allowed) {
    for (const std::string_view name : group.names) list.Add({{name, {}, group.reason}});
  }
  for (const ArgumentRule& rule : policy.ruled) {
    for (const uint64_t value : rule.values)
      list.Add({{rule.name, {{rule.argument, rule.mask, value}}, rule.reason}});
  }
}

AllowList MakeList() {
  AllowList list = ServingCalls();
  list.otherwise = Otherwise::kRefuse;
  // It is how a unit's first process is born in its cgroup.
  list.absent.clear();
  // Of units with accelerators as well: which list a unit wears is decided when it starts.
  AddTenants(DevicePolicy(), list);
  list.Add({
      {"clone", {}, "bubblewrap: the sandbox's namespaces"},
      {"clone3", {}, "spawn: a unit's first process is born in its cgroup (CLONE_INTO_CGROUP)"},
      {"unshare", {}, "bubblewrap: user namespaces are closed for good inside"},
      {"mount", {}, "bubblewrap: the sandbox's tree"},
      {"umount2", {}, "bubblewrap: the host's tree goes"},
      {"pivot_root", {}, "bubblewrap: the sandbox's tree becomes the root"},
      {"sethostname", {}, "bubblewrap: the fixed name"},
      {"capset", {}, "bubblewrap and the sandbox's init: give capabilities up"},
      {"prctl", {}, "the same, and the tenant's filter"},
      {"seccomp", {}, "the sandbox's init: the tenant's filter"},
      SocketOf(AF_NETLINK, "bubblewrap: the loopback of the empty network"),
      {"ioctl", {{1, kInt, SIOCGIFINDEX}}, "bubblewrap: the same"},
      {"pidfd_open", {}, "spawn and leftovers: a process is held by its descriptor"},
      {"pidfd_send_signal", {}, "kill, through that descriptor"},
      {"memfd_create", {}, "filters and inputs, handed to sandboxes as sealed memory"},
      {"syncfs", {}, "package store: a package is on disk before its name"},
  });
  return list;
}

}  // namespace

const AllowList& RunnerdCalls() {
  static const AllowList list = MakeList();
  return list;
}

}  // namespace auspex::runnerd
