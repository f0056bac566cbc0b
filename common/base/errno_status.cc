// SPDX-License-Identifier: AGPL-3.0-only
#include "common/base/errno_status.h"

#include <cerrno>
#include <string>
#include <system_error>

#include "common/base/cat.h"

namespace auspex {

absl::Status ErrnoStatus(int error, std::string_view operation, std::string_view thing) {
  // Abseil has its own table from errno to code; the message is ours so that it reads "what thing: why".
  // It has no code for EIO: a disk that fails may work later, as one that is full may have room.
  const absl::StatusCode code =
      error == EIO ? absl::StatusCode::kUnavailable : absl::ErrnoToStatusCode(error);
  return absl::Status(code,
                      Cat(operation, " ", thing, ": ", std::generic_category().message(error)));
}

}  // namespace auspex
