// SPDX-License-Identifier: AGPL-3.0-only
#include <sched.h>
#include <seccomp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>
#include <memory>

#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"
#include "common/harden/harden.h"

namespace auspex {
namespace {

using Filter = std::unique_ptr<void, void (*)(void*)>;

// A filter that allows everything but the rules that are added, for every thread of the process.
absl::StatusOr<Filter> MakeFilter(std::string_view layer) {
  Filter filter(seccomp_init(SCMP_ACT_ALLOW), [](void* context) { seccomp_release(context); });
  if (filter == nullptr) return absl::UnavailableError(std::string(layer) + ": no seccomp");
  if (const int error = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1); error != 0) {
    return ErrnoStatus(-error, "set up", layer);
  }
  // A foreign ABI would be a way around the rules.
  if (const int error =
          seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
      error != 0) {
    return ErrnoStatus(-error, "set up", layer);
  }
  return filter;
}

absl::Status LoadFilter(const Filter& filter, std::string_view layer) {
  if (const int error = seccomp_load(filter.get()); error != 0) {
    return ErrnoStatus(-error, "put in place", layer);
  }
  return absl::OkStatus();
}

}  // namespace

namespace {

// Fails every socket(2) that one of `refused` matches. One comparison a rule: libseccomp takes no two of one argument.
absl::Status RefuseSockets(std::initializer_list<scmp_arg_cmp> refused) {
  ASSIGN_OR_RETURN(Filter filter, MakeFilter("socket filter"));
  for (const scmp_arg_cmp& family : refused) {
    if (const int error = seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(EAFNOSUPPORT),
                                                 SCMP_SYS(socket), 1, &family);
        error != 0) {
      return ErrnoStatus(-error, "build", "socket filter");
    }
  }
  // io_uring can make sockets without socket(2).
  for (const int call :
       {SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register)}) {
    if (const int error =
            seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(EPERM), call, 0, nullptr);
        error != 0) {
      return ErrnoStatus(-error, "build", "socket filter");
    }
  }
  return LoadFilter(filter, "socket filter");
}

}  // namespace

absl::Status OnlyUnixSockets() {
  RETURN_IF_ERROR(RefuseSockets({SCMP_A0(SCMP_CMP_NE, AF_UNIX)}));
  const UniqueFd tried(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return !tried && errno == EAFNOSUPPORT
             ? absl::OkStatus()
             : absl::UnavailableError("an Internet socket could still be made");
}

absl::Status OnlyUnixAndNetlinkSockets() {
  static_assert(AF_UNIX == 1 && AF_NETLINK == 16);
  return RefuseSockets({SCMP_A0(SCMP_CMP_LT, AF_UNIX), SCMP_A0(SCMP_CMP_EQ, 2),
                        SCMP_A0(SCMP_CMP_EQ, 3), SCMP_A0(SCMP_CMP_EQ, 4), SCMP_A0(SCMP_CMP_EQ, 5),
                        SCMP_A0(SCMP_CMP_EQ, 6), SCMP_A0(SCMP_CMP_EQ, 7), SCMP_A0(SCMP_CMP_EQ, 8),
                        SCMP_A0(SCMP_CMP_EQ, 9), SCMP_A0(SCMP_CMP_EQ, 10), SCMP_A0(SCMP_CMP_EQ, 11),
                        SCMP_A0(SCMP_CMP_EQ, 12), SCMP_A0(SCMP_CMP_EQ, 13),
                        SCMP_A0(SCMP_CMP_EQ, 14), SCMP_A0(SCMP_CMP_EQ, 15),
                        SCMP_A0(SCMP_CMP_GT, AF_NETLINK)});
}

namespace {

absl::Status RefuseCalls(std::string_view layer, std::initializer_list<int> calls) {
  ASSIGN_OR_RETURN(Filter filter, MakeFilter(layer));
  for (const int call : calls) {
    if (const int error =
            seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(EPERM), call, 0, nullptr);
        error != 0) {
      return ErrnoStatus(-error, "build", layer);
    }
  }
  return LoadFilter(filter, layer);
}

}  // namespace

absl::Status DenyConnect() { return RefuseCalls("connect filter", {SCMP_SYS(connect)}); }

absl::Status DenyExec() {
  RETURN_IF_ERROR(RefuseCalls("exec filter", {SCMP_SYS(execve), SCMP_SYS(execveat)}));
  // No file of this name can be executed; what counts is which refusal comes first.
  char name[] = "";
  char* nothing[] = {nullptr};
  return ::execve(name, nothing, nothing) == -1 && errno == EPERM
             ? absl::OkStatus()
             : absl::UnavailableError("a program could still be started");
}

absl::Status DenyProcesses() {
  constexpr std::string_view kLayer = "process filter";
  ASSIGN_OR_RETURN(Filter filter, MakeFilter(kLayer));
  const scmp_arg_cmp no_thread = SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0);
  int error =
      seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, &no_thread);
  for (const int call : {SCMP_SYS(fork), SCMP_SYS(vfork)}) {
    if (error == 0) {
      error = seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(EPERM), call, 0, nullptr);
    }
  }
  // Its flags lie in memory, which a filter cannot read; the C library falls back on clone.
  if (error == 0) {
    error =
        seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, nullptr);
  }
  if (error != 0) return ErrnoStatus(-error, "build", kLayer);
  RETURN_IF_ERROR(LoadFilter(filter, kLayer));
  const pid_t tried = ::fork();
  if (tried == 0) ::_exit(0);
  if (tried < 0 && errno == EPERM) return absl::OkStatus();
  if (tried > 0) ::waitpid(tried, nullptr, 0);
  return absl::UnavailableError("a process could still be made");
}

}  // namespace auspex
