// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/seccomp_filter.h"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"

namespace auspex::runnerd {
namespace {

struct ReleaseContext {
  void operator()(void* context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, ReleaseContext>;

absl::Status Failed(int negative_errno, std::string_view what) {
  return ErrnoStatus(-negative_errno, "seccomp filter", what);
}

absl::StatusOr<int> Resolve(std::string_view name) {
  int number = seccomp_syscall_resolve_name(std::string(name).c_str());
  if (number == __NR_SCMP_ERROR) {
    return absl::InternalError(Cat("seccomp filter: libseccomp does not know the call ", name));
  }
  return number;
}

// Negative numbers are libseccomp's way to say that other architectures have the call and this one
// has not.
bool Foreign(int number) { return number < 0; }

absl::Status AddRules(scmp_filter_ctx context, const SeccompPolicy& policy) {
  for (const SyscallGroup& group : policy.allowed) {
    for (std::string_view name : group.names) {
      ASSIGN_OR_RETURN(int number, Resolve(name));
      if (Foreign(number)) continue;
      if (int error = seccomp_rule_add_exact(context, SCMP_ACT_ALLOW, number, 0); error != 0)
        return Failed(error, name);
    }
  }
  for (const ArgumentRule& rule : policy.ruled) {
    ASSIGN_OR_RETURN(int number, Resolve(rule.name));
    if (Foreign(number)) continue;
    for (uint64_t value : rule.values) {
      const scmp_arg_cmp compare{rule.argument, SCMP_CMP_MASKED_EQ, rule.mask, value};
      int error = seccomp_rule_add_exact_array(context, SCMP_ACT_ALLOW, number, 1, &compare);
      if (error != 0) return Failed(error, rule.name);
    }
  }
  for (const AbsentCall& call : policy.absent) {
    int number = seccomp_syscall_resolve_name(std::string(call.name).c_str());
    if (number == __NR_SCMP_ERROR) number = call.number;
    if (Foreign(number)) continue;
    if (int error = seccomp_rule_add_exact(context, SCMP_ACT_ERRNO(ENOSYS), number, 0);
        error != 0) {
      return Failed(error, call.name);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UniqueFd> BuildSeccompFilter(const SeccompPolicy& policy) {
  Context context(seccomp_init(SCMP_ACT_ERRNO(EPERM)));
  if (context == nullptr) return absl::ResourceExhaustedError("seccomp filter: no memory");
  if (int error = seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
      error != 0) {
    return Failed(error, "action for foreign architectures");
  }
  // A binary tree over the call numbers: the filter runs on every call of a tenant.
  if (int error = seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2); error != 0)
    return Failed(error, "optimize");
  RETURN_IF_ERROR(AddRules(context.get(), policy));
  UniqueFd file(memfd_create("auspex-seccomp", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return ErrnoStatus(errno, "memfd_create", "seccomp filter");
  if (int error = seccomp_export_bpf(context.get(), file.get()); error != 0)
    return Failed(error, "export");
  if (fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) !=
      0) {
    return ErrnoStatus(errno, "seal", "seccomp filter");
  }
  return file;
}

absl::StatusOr<UniqueFd> ReopenFilter(const UniqueFd& filter) {
  UniqueFd copy(open(Cat("/proc/self/fd/", filter.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!copy) return ErrnoStatus(errno, "open", "seccomp filter");
  return copy;
}

}  // namespace auspex::runnerd
