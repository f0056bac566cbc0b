// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/deploy/confine.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <sstream>

namespace auspex::deploy {
namespace {

bool SetReadOnly(const char* path, bool read_only) {
  mount_attr attributes{};
  (read_only ? attributes.attr_set : attributes.attr_clr) = MOUNT_ATTR_RDONLY;
  return ::syscall(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE, &attributes,
                   sizeof attributes) == 0;
}

constexpr uint64_t kNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

}  // namespace

bool ConfineFiles(const UnitFile& unit) {
  if (unit.Value("PrivateNetwork") == "yes" && ::unshare(CLONE_NEWNET) != 0) return false;
  if (::unshare(CLONE_NEWNS) != 0) return false;
  // A state folder has to be a mount of its own to stay writable.
  std::string state;
  if (const std::string name = unit.Value("StateDirectory"); !name.empty()) {
    state = "/var/lib/" + name;
    if (::mount(state.c_str(), state.c_str(), nullptr, MS_BIND, nullptr) != 0) return false;
  }
  if (::mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") != 0) return false;
  std::string options;
  if (unit.Value("ProtectProc") == "invisible") options = "hidepid=invisible";
  if (unit.Value("ProcSubset") == "pid") options += ",subset=pid";
  if (!options.empty() &&
      ::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, options.c_str()) != 0)
    return false;
  if (unit.Value("ProtectSystem") == "strict") {
    if (!SetReadOnly("/", true)) return false;
    for (const char* path : {"/proc", "/sys", "/dev", "/tmp"}) {
      if (!SetReadOnly(path, false)) return false;
    }
    if (!state.empty() && !SetReadOnly(state.c_str(), false)) return false;
  }
  return true;
}

CallFilter::CallFilter(const UnitFile& unit) : context_(seccomp_init(SCMP_ACT_ERRNO(EPERM))) {
  const bool no_namespaces = unit.Value("RestrictNamespaces") == "yes";
  const bool no_set_uid = unit.Value("RestrictSUIDSGID") == "yes";
  const bool no_new_code = unit.Value("MemoryDenyWriteExecute") == "yes";
  for (const std::string& name : unit.SystemCalls()) {
    const int number = seccomp_syscall_resolve_name(name.c_str());
    if (number == __NR_SCMP_ERROR || number < 0) continue;  // another architecture's
    if (name == "socket") {
      const std::map<std::string, int> families = {{"AF_UNIX", AF_UNIX},
                                                   {"AF_INET", AF_INET},
                                                   {"AF_INET6", AF_INET6},
                                                   {"AF_NETLINK", AF_NETLINK}};
      std::istringstream allowed(unit.Value("RestrictAddressFamilies"));
      for (std::string word; allowed >> word;) {
        seccomp_rule_add(context_, SCMP_ACT_ALLOW, number, 1,
                         SCMP_A0(SCMP_CMP_EQ, static_cast<uint64_t>(families.at(word))));
      }
    } else if (no_set_uid && name == "openat2") {
      // systemd denies it as a whole: the mode of a file that it makes lies in memory, which a filter cannot read.
      seccomp_rule_add(context_, SCMP_ACT_ERRNO(ENOSYS), number, 0);
    } else if (no_namespaces && (name == "unshare" || name == "setns")) {
      continue;
    } else if (no_namespaces && name == "clone3") {
      seccomp_rule_add(context_, SCMP_ACT_ERRNO(ENOSYS), number, 0);
    } else if (no_namespaces && name == "clone") {
      seccomp_rule_add(context_, SCMP_ACT_ALLOW, number, 1,
                       SCMP_A0(SCMP_CMP_MASKED_EQ, kNamespaces, 0));
    } else if (no_new_code && name == "mmap") {
      for (const uint64_t kind : {PROT_NONE, PROT_WRITE, PROT_EXEC}) {
        seccomp_rule_add(context_, SCMP_ACT_ALLOW, number, 1,
                         SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE | PROT_EXEC, kind));
      }
    } else if (no_new_code && name == "mprotect") {
      seccomp_rule_add(context_, SCMP_ACT_ALLOW, number, 1,
                       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    } else {
      seccomp_rule_add(context_, SCMP_ACT_ALLOW, number, 0);
    }
  }
}

CallFilter::~CallFilter() { seccomp_release(context_); }

bool CallFilter::Load() const { return seccomp_load(context_) == 0; }

}  // namespace auspex::deploy
