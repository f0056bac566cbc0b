// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/peer.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/base/cat.h"
#include "common/base/errno_status.h"

namespace auspex {
namespace {

// More groups than that no user has here: the call would only be refused.
constexpr size_t kMaxGroups = 65536;

absl::StatusOr<std::vector<gid_t>> GroupsOf(int connected_fd) {
  std::vector<gid_t> groups(32);
  for (;;) {
    socklen_t size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    if (::getsockopt(connected_fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0) {
      groups.resize(size / sizeof(gid_t));
      return groups;
    }
    // ERANGE: the kernel has put the size that it needs.
    if (errno != ERANGE || size / sizeof(gid_t) > kMaxGroups) {
      return ErrnoStatus(errno, "read the groups of", "the peer");
    }
    groups.resize(size / sizeof(gid_t));
  }
}

}  // namespace

absl::StatusOr<Peer> PeerOf(int connected_fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(connected_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return ErrnoStatus(errno, "read the credentials of", "the peer");
  }
  absl::StatusOr<std::vector<gid_t>> groups = GroupsOf(connected_fd);
  if (!groups.ok()) return groups.status();
  return Peer{credentials.pid, credentials.uid, credentials.gid, *std::move(groups)};
}

PeerRule PeerRule::Self() { return PeerRule{{::geteuid()}, {}}; }

absl::Status PeerRule::Check(const Peer& peer) const {
  if (std::find(uids.begin(), uids.end(), peer.uid) != uids.end()) return absl::OkStatus();
  for (const gid_t gid : gids) {
    if (peer.gid == gid) return absl::OkStatus();
    if (std::find(peer.groups.begin(), peer.groups.end(), gid) != peer.groups.end())
      return absl::OkStatus();
  }
  return absl::PermissionDeniedError(
      Cat("process ", peer.pid, " of user ", peer.uid, " may not use this socket"));
}

}  // namespace auspex
