// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/storage_marker.h"

#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"

namespace auspex::keyd {
namespace {

constexpr std::string_view kWord = "secret-service ";

}  // namespace

absl::StatusOr<std::optional<std::string>> StorageMarker::Read() const {
  if (::access(path_.c_str(), F_OK) != 0 && errno == ENOENT) return std::nullopt;
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path_, 256));
  const std::string_view line(text);
  const bool form =
      line.size() == kWord.size() + 65 && line.starts_with(kWord) && line.back() == '\n' &&
      line.substr(kWord.size(), 64).find_first_not_of("0123456789abcdef") == std::string_view::npos;
  if (!form) {
    return absl::FailedPreconditionError(
        Cat(path_,
            ": is not what keyd writes there (`secret-service` and a public key); restore "
            "it, or remove it when the key is in key.sealed"));
  }
  return std::optional<std::string>(line.substr(kWord.size(), 64));
}

absl::Status StorageMarker::Write(const std::string& public_key_hex) const {
  return WriteFileAtomically(path_, Cat(kWord, public_key_hex, "\n"), 0600);
}

absl::Status StorageMarker::Remove() const {
  if (::unlink(path_.c_str()) != 0) {
    return errno == ENOENT ? absl::OkStatus() : ErrnoStatus(errno, "unlink", path_);
  }
  return SyncDirectory(state_dir_);
}

}  // namespace auspex::keyd
