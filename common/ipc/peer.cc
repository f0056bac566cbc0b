// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/peer.h"

#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/base/cat.h"
#include "common/base/errno_status.h"

namespace auspex {
namespace {

// True when the user `uid` has `gid` among its groups, as the user database says now. SO_PEERCRED carries only the
// primary group; SO_PEERGROUPS would carry the rest, but only those of the moment of connect, which is the same thing.
bool UserIsInGroup(uid_t uid, gid_t gid) {
  const passwd* user = ::getpwuid(uid);
  if (user == nullptr) return false;
  if (user->pw_gid == gid) return true;
  const group* entry = ::getgrgid(gid);
  if (entry == nullptr) return false;
  for (char** member = entry->gr_mem; *member != nullptr; ++member) {
    if (std::string_view(*member) == user->pw_name) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<Peer> PeerOf(int connected_fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(connected_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return ErrnoStatus(errno, "read the credentials of", "the peer");
  }
  return Peer{credentials.pid, credentials.uid, credentials.gid};
}

PeerRule PeerRule::Self() { return PeerRule{{::geteuid()}, {}}; }

absl::Status PeerRule::Check(const Peer& peer) const {
  if (std::find(uids.begin(), uids.end(), peer.uid) != uids.end()) return absl::OkStatus();
  for (const gid_t gid : gids) {
    if (peer.gid == gid || UserIsInGroup(peer.uid, gid)) return absl::OkStatus();
  }
  return absl::PermissionDeniedError(
      Cat("process ", peer.pid, " of user ", peer.uid, " may not use this socket"));
}

}  // namespace auspex
