// SPDX-License-Identifier: AGPL-3.0-only
// ServingCalls: the system calls of a daemon that serves its roles over gRPC and does nothing else: what the lists of the four
// daemons have in common. Each adds what its own work needs, in a file of its own folder (keyd/syscalls.cc and its like).
//
//   AllowList list = ServingCalls();
//   list.Add({{"fdatasync", {}, "journal: a record is durable before its signature leaves"}});
//
// Any thread.
#ifndef AUSPEX_COMMON_HARDEN_SERVING_CALLS_H_
#define AUSPEX_COMMON_HARDEN_SERVING_CALLS_H_

#include <cstdint>
#include <string_view>

#include "common/harden/allow_list.h"

namespace auspex {

// Anything that is not in it kills; clone3 is absent, because its flags lie where no filter can read them.
AllowList ServingCalls();

// Rows of calls that are allowed for one value of one argument.
AllowedCall MadviseOf(uint64_t advice, std::string_view needed_by);
AllowedCall FcntlOf(uint64_t command, std::string_view needed_by);
AllowedCall SocketOf(uint64_t family, std::string_view needed_by);
AllowedCall GetsockoptOf(uint64_t level, uint64_t option, std::string_view needed_by);
AllowedCall SetsockoptOf(uint64_t level, uint64_t option, std::string_view needed_by);

}  // namespace auspex

#endif  // AUSPEX_COMMON_HARDEN_SERVING_CALLS_H_
