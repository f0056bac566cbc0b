// SPDX-License-Identifier: AGPL-3.0-only
// The key of a role: 32 random octets in "<role>.role/key" beside the socket "<role>.sock". Where
// all daemons have one user, the kernel cannot tell them apart at accept; who can read a role's key
// is let in there instead (role_door.h), and Landlock, or a mount namespace, decides who can read
// it. The folder is 0700 and the file 0600. Whoever of the user's processes comes first makes both;
// they stay as long as the run folder does, so that a server that starts again keeps its key and
// the view of a confined client stays right. Safe from any thread and any process.
#ifndef AUSPEX_COMMON_IPC_ROLE_KEY_H_
#define AUSPEX_COMMON_IPC_ROLE_KEY_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace auspex {

// "/run/keyd/request.sock" -> "/run/keyd/request.role".
std::string RoleFolderOf(std::string_view socket_path);

// The key in hexadecimal (64 characters). NOT_FOUND when there is none; FAILED_PRECONDITION when
// folder or file is a link, belongs to another user, is open to others or is no key.
absl::StatusOr<std::string> ReadRoleKey(std::string_view socket_path);

// Makes the folder of a role whose key is somebody else's to make and to read.
absl::Status EnsureRoleFolder(std::string_view socket_path);

// The same as ReadRoleKey, and makes folders and key that are missing.
absl::StatusOr<std::string> EnsureRoleKey(std::string_view socket_path);

}  // namespace auspex

#endif  // AUSPEX_COMMON_IPC_ROLE_KEY_H_
