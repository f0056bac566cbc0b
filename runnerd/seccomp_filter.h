// SPDX-License-Identifier: AGPL-3.0-only
// Turns a SeccompPolicy into the BPF program that bubblewrap loads (libseccomp's form: an array of
// sock_filter). Functions are pure but for the descriptor; any thread.
#ifndef AUSPEX_RUNNERD_SECCOMP_FILTER_H_
#define AUSPEX_RUNNERD_SECCOMP_FILTER_H_

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"
#include "runnerd/seccomp_policy.h"

namespace auspex::runnerd {

// A sealed, read-only memory file with the program. bubblewrap reads it from offset 0 to the end,
// and a descriptor's offset is shared between processes, so every sandbox needs a descriptor of its
// own: ReopenFilter. Names that this architecture does not have (open on aarch64) are left out; an
// allowed name that libseccomp cannot express, or a ruled call that cannot be ruled, is an error:
// a filter that is weaker than the policy is never made.
absl::StatusOr<UniqueFd> BuildSeccompFilter(const SeccompPolicy& policy);

// A new open file of the same program with its offset at 0.
absl::StatusOr<UniqueFd> ReopenFilter(const UniqueFd& filter);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_SECCOMP_FILTER_H_
