// SPDX-License-Identifier: AGPL-3.0-only
// The system calls that netd makes after its start, as data (syscalls.cc): one row a call, with the code that needs it. Anything
// else is refused with EPERM; foreign ones kill. Constant, any thread.
#ifndef AUSPEX_NETD_SYSCALLS_H_
#define AUSPEX_NETD_SYSCALLS_H_

#include "common/harden/allow_list.h"

namespace auspex {

const AllowList& NetdCalls();

}  // namespace auspex

#endif  // AUSPEX_NETD_SYSCALLS_H_
