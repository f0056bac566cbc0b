// SPDX-License-Identifier: AGPL-3.0-only
// Files as this project writes them: private, replaced atomically, on disk before success is
// reported. Errors are ErrnoStatus with the path. Safe from any thread; two writers of one path
// must agree between themselves.
#ifndef AUSPEX_COMMON_FILES_FILES_H_
#define AUSPEX_COMMON_FILES_FILES_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace auspex {

// Makes `path` (and missing parents, 0755) a directory of mode 0700. An existing directory that
// belongs to somebody else or is open to group or others is FAILED_PRECONDITION with the command
// that mends it.
absl::Status MakePrivateDirectory(const std::string& path);

// Whether a link in the last component of a path is followed.
enum class Links { kRefuse, kFollow };
// The whole file, at most `max_octets` (RESOURCE_EXHAUSTED above). Regular files only.
absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t max_octets,
                                     Links links = Links::kRefuse);

// Replaces `path` by `content` with `mode`: exclusive temporary in the same folder, fsync, rename,
// fsync of the folder. Readers see the old or the new file, whole.
absl::Status WriteFileAtomically(const std::string& path, std::string_view content, mode_t mode);

// Makes `path` durable after a create, rename or unlink inside it.
absl::Status SyncDirectory(const std::string& path);

// Writes all of `octets` to `fd`, over short writes and EINTR.
absl::Status WriteAll(int fd, std::string_view octets, std::string_view name_for_errors);

// Holds an exclusive lock on `path` (made when missing) for the life of the returned descriptor.
// FAILED_PRECONDITION "... is in use by process N" when another process holds it: one instance per
// state folder (W-11).
absl::StatusOr<UniqueFd> LockInstance(const std::string& path);

// Removes a tree below `path` without following links, `path` included. OK when missing.
absl::Status RemoveTree(const std::string& path);

}  // namespace auspex

#endif  // AUSPEX_COMMON_FILES_FILES_H_
