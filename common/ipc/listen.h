// SPDX-License-Identifier: AGPL-3.0-only
// Listening Unix sockets: passed by systemd, or made in a private folder. Used by RoleServer.
#ifndef AUSPEX_COMMON_IPC_LISTEN_H_
#define AUSPEX_COMMON_IPC_LISTEN_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace auspex {

// A listening socket and whether its file is ours to remove.
struct Listener {
  UniqueFd fd;
  bool from_systemd = false;
};

// Whether systemd passed this process any socket.
bool SocketsWerePassed();

// The socket that systemd passed for `path` (sd_listen_fds(3), matched by the bound address), else a new one at `path` with mode 0600, or
// 0660 and the group `group` when that is not negative. FAILED_PRECONDITION when a live server holds the path; a stale file is removed.
absl::StatusOr<Listener> ListenAt(const std::string& path, long group);

}  // namespace auspex

#endif  // AUSPEX_COMMON_IPC_LISTEN_H_
