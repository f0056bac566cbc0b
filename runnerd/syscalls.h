// SPDX-License-Identifier: AGPL-3.0-only
// The system calls that runnerd and what it starts make after its hardening, as data (syscalls.cc). Anything else is refused with
// EPERM, foreign ones kill. A filter is inherited: bubblewrap, the sandbox's init and tenants run under it too, and tenants wear
// their own, narrower list (seccomp_policy.h) inside. Constant, any thread.
#ifndef AUSPEX_RUNNERD_SYSCALLS_H_
#define AUSPEX_RUNNERD_SYSCALLS_H_

#include "common/harden/allow_list.h"

namespace auspex::runnerd {

const AllowList& RunnerdCalls();

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_SYSCALLS_H_
