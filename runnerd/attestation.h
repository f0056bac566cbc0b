// SPDX-License-Identifier: AGPL-3.0-only
// What may be signed as `strict`: decided for each unit by the facts that its own sandbox's first
// process read from the kernel (runnerd/init/facts.h) before anything of a tenant's ran, held
// against what this process is. JudgeFacts is pure; any thread.
#ifndef AUSPEX_RUNNERD_ATTESTATION_H_
#define AUSPEX_RUNNERD_ATTESTATION_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace auspex::runnerd {

// This process, as far as a unit must differ from it.
struct Outside {
  std::map<std::string, uint64_t, std::less<>>
      namespaces;        // "user", "mnt", "pid_ns", "net", "ipc", "uts" -> inode number
  int landlock_abi = 0;  // what this kernel offers and unit-init uses; 0: nothing
};
// Reads /proc/self/ns and asks the kernel. What cannot be read is missing, and no unit passes then.
Outside LookOutside();

// OK when the facts show every required wall: process 1, the mapped user, no capability in any set,
// no new privileges, a seccomp filter, Landlock as far as the kernel has it, six namespaces other
// than ours. Else FAILED_PRECONDITION naming the layer.
absl::Status JudgeFacts(std::string_view facts, const Outside& outside);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_ATTESTATION_H_
