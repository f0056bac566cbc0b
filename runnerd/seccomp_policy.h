// SPDX-License-Identifier: AGPL-3.0-only
// The system calls that a sandbox may make, as data: an allow-list with a reason for each group and
// rules for arguments. What is not named fails with EPERM, so that an interpreter that probes for
// something goes on without it; a few newer calls fail with ENOSYS, because C libraries fall back
// on older ones only then; a foreign architecture is killed. Constant data, any thread.
// seccomp_filter.h turns it into a program.
#ifndef AUSPEX_RUNNERD_SECCOMP_POLICY_H_
#define AUSPEX_RUNNERD_SECCOMP_POLICY_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace auspex::runnerd {

// Calls that are allowed whatever their arguments.
struct SyscallGroup {
  std::string_view reason;
  std::vector<std::string_view> names;
};

// A call that is allowed only when (argument & mask) equals one of `values`. Masks of 32 bits are
// used where the kernel takes an int: it ignores the upper half, so a rule that compared it could
// be passed by.
struct ArgumentRule {
  std::string_view name;
  unsigned argument;  // 0..5
  uint64_t mask;
  std::vector<uint64_t> values;
  std::string_view reason;
};

// A call that fails with ENOSYS. `number` is used where the host's libseccomp does not know the
// name; -1: go by name.
struct AbsentCall {
  std::string_view name;
  int number;
  std::string_view reason;
};

struct SeccompPolicy {
  std::vector<SyscallGroup> allowed;
  std::vector<ArgumentRule> ruled;
  std::vector<AbsentCall> absent;
};

// The policy of every sandbox.
const SeccompPolicy& TenantPolicy();
// The same, and what talks to the drivers of accelerators: for units of tenants whom the owner gave
// their nodes.
const SeccompPolicy& DevicePolicy();

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_SECCOMP_POLICY_H_
