// SPDX-License-Identifier: AGPL-3.0-only
// Turns errno into an absl::Status whose message names the operation, the thing and the cause.
#ifndef AUSPEX_COMMON_BASE_ERRNO_STATUS_H_
#define AUSPEX_COMMON_BASE_ERRNO_STATUS_H_

#include <string_view>

#include "absl/status/status.h"

namespace auspex {

// "open /run/x: Permission denied" with the absl code that fits `error` (an errno value).
absl::Status ErrnoStatus(int error, std::string_view operation, std::string_view thing);

}  // namespace auspex

#endif  // AUSPEX_COMMON_BASE_ERRNO_STATUS_H_
