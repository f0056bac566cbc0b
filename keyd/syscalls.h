// SPDX-License-Identifier: AGPL-3.0-only
// The system calls that keyd makes after its start, as data (syscalls.cc): one row a call, with the code that needs it. Anything
// else kills keyd. Constant, any thread.
#ifndef AUSPEX_KEYD_SYSCALLS_H_
#define AUSPEX_KEYD_SYSCALLS_H_

#include "common/harden/allow_list.h"

namespace auspex::keyd {

const AllowList& KeydCalls();

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_SYSCALLS_H_
