// SPDX-License-Identifier: AGPL-3.0-only
#include "common/harden/allow_list.h"

#include <linux/kcmp.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"

namespace auspex {
namespace {

struct ReleaseContext {
  void operator()(void* context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, ReleaseContext>;

absl::Status Failed(int negative_errno, std::string_view what) {
  return ErrnoStatus(-negative_errno, "allow-list", what);
}

// Negative numbers are libseccomp's way to say that other architectures have the call and this one has not.
absl::StatusOr<int> Resolve(std::string_view name) {
  const int number = seccomp_syscall_resolve_name(std::string(name).c_str());
  if (number == __NR_SCMP_ERROR) {
    return absl::InternalError(Cat("allow-list: libseccomp does not know the call ", name));
  }
  return number;
}

absl::Status AddRow(scmp_filter_ctx context, const AllowedCall& row, int own_pid) {
  ASSIGN_OR_RETURN(const int number, Resolve(row.name));
  if (number < 0) return absl::OkStatus();
  std::vector<scmp_arg_cmp> checks;
  for (const ArgumentCheck& check : row.when) {
    const uint64_t value = check.value == kOwnPid ? static_cast<uint64_t>(own_pid) : check.value;
    checks.push_back({check.argument, SCMP_CMP_MASKED_EQ, check.mask, value});
  }
  const int error = seccomp_rule_add_exact_array(
      context, SCMP_ACT_ALLOW, number, static_cast<unsigned>(checks.size()), checks.data());
  return error == 0 ? absl::OkStatus() : Failed(error, row.name);
}

absl::StatusOr<std::vector<sock_filter>> Export(scmp_filter_ctx context) {
  const UniqueFd file(::memfd_create("allow-list", MFD_CLOEXEC));
  if (!file) return ErrnoStatus(errno, "memfd_create", "allow-list");
  if (const int error = seccomp_export_bpf(context, file.get()); error != 0) {
    return Failed(error, "export");
  }
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return ErrnoStatus(errno, "fstat", "allow-list");
  const auto octets = static_cast<size_t>(info.st_size);
  std::vector<sock_filter> program(octets / sizeof(sock_filter));
  if (program.empty() || program.size() > BPF_MAXINSNS ||
      ::pread(file.get(), program.data(), octets, 0) != static_cast<ssize_t>(octets)) {
    return absl::InternalError(Cat("allow-list: a program of ", octets, " octets"));
  }
  return program;
}

// Calls that change nothing, that no list of ours names, and which a list that refuses answers with EPERM.
using Probe = bool (*)();
constexpr Probe kRefused[] = {
    // No architecture has this one.
    [] { return ::syscall(1000) == -1 && errno == EPERM; },
    // A process may always compare itself with itself.
    [] {
      return ::syscall(SYS_kcmp, ::getpid(), ::getpid(), KCMP_VM, 0, 0) == -1 && errno == EPERM;
    },
    // No message queue is at -1.
    [] { return ::syscall(SYS_mq_getsetattr, -1, nullptr, nullptr) == -1 && errno == EPERM; },
};

// Those that are not answered so yet: filters that are there already may refuse by EPERM too.
std::vector<Probe> StillAnswered(const AllowList& list) {
  std::vector<Probe> probes;
  if (list.otherwise != Otherwise::kRefuse) return probes;
  for (const Probe refused : kRefused) {
    if (!refused()) probes.push_back(refused);
  }
  return probes;
}

// By a call that does nothing and is answered otherwise with the filter than without it.
bool InForce(const AllowList& list, const std::vector<Probe>& probes) {
  if (list.otherwise == Otherwise::kRefuse) {
    return !probes.empty() &&
           std::all_of(probes.begin(), probes.end(), [](Probe refused) { return refused(); });
  }
  // Without arguments it is EINVAL to the kernel. A list that kills has it as absent, since nothing can check its flags. (Where a
  // container's filter answers ENOSYS too, this shows only that ours does not kill it.)
  return ::syscall(SYS_clone3, nullptr, 0) == -1 && errno == ENOSYS;
}

}  // namespace

void AllowList::Add(std::vector<AllowedCall> rows) {
  std::move(rows.begin(), rows.end(), std::back_inserter(allowed));
}

absl::StatusOr<std::vector<sock_filter>> Compile(const AllowList& list, int own_pid) {
  const Context context(seccomp_init(list.otherwise == Otherwise::kKill ? SCMP_ACT_KILL_PROCESS
                                                                        : SCMP_ACT_ERRNO(EPERM)));
  if (context == nullptr) return absl::UnavailableError("allow-list: no seccomp");
  if (const int error =
          seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
      error != 0) {
    return Failed(error, "action for foreign architectures");
  }
  // A binary tree over the numbers: the kernel runs the program for every call whose arguments are checked.
  if (const int error = seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2); error != 0) {
    return Failed(error, "optimize");
  }
  // libseccomp takes no rule with checks beside one without.
  std::set<std::string_view> whole;
  for (const AllowedCall& row : list.allowed) {
    if (row.when.empty() && whole.insert(row.name).second)
      RETURN_IF_ERROR(AddRow(context.get(), row, own_pid));
  }
  for (const AllowedCall& row : list.allowed) {
    if (!whole.contains(row.name)) RETURN_IF_ERROR(AddRow(context.get(), row, own_pid));
  }
  for (const AbsentCall& row : list.absent) {
    ASSIGN_OR_RETURN(const int number, Resolve(row.name));
    if (number < 0) continue;
    if (const int error = seccomp_rule_add_exact(context.get(), SCMP_ACT_ERRNO(ENOSYS), number, 0);
        error != 0) {
      return Failed(error, row.name);
    }
  }
  return Export(context.get());
}

absl::Status KeepOnly(const AllowList& list) {
  ASSIGN_OR_RETURN(std::vector<sock_filter> program, Compile(list, ::getpid()));
  const sock_fprog loaded{static_cast<unsigned short>(program.size()), program.data()};
  const std::vector<Probe> probes = StillAnswered(list);
  // With TSYNC the kernel answers with a thread's id when that thread could not be brought along.
  const long answer =
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &loaded);
  if (answer != 0) {
    return absl::UnavailableError(
        answer > 0 ? Cat("seccomp: thread ", answer, " has a filter of its own")
                   : std::string(ErrnoStatus(errno, "seccomp", "allow-list").message()));
  }
  if (InForce(list, probes)) return absl::OkStatus();
  return absl::UnavailableError("seccomp: the filter was taken and is not in force");
}

}  // namespace auspex
