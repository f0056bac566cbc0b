// SPDX-License-Identifier: AGPL-3.0-only
// The system calls that stated makes after its start, as data (syscalls.cc): one row a call, with the code that needs it. Anything
// else kills stated. Constant, any thread.
#ifndef AUSPEX_STATED_SYSCALLS_H_
#define AUSPEX_STATED_SYSCALLS_H_

#include "common/harden/allow_list.h"

namespace auspex::stated {

const AllowList& StatedCalls();

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_SYSCALLS_H_
