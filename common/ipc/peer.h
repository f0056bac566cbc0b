// SPDX-License-Identifier: AGPL-3.0-only
// Peer: who is at the other end of a Unix socket, as the kernel says, and the rule by which a role lets a peer in.
#ifndef AUSPEX_COMMON_IPC_PEER_H_
#define AUSPEX_COMMON_IPC_PEER_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace auspex {

struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary, at the moment of connect
};

// SO_PEERCRED and SO_PEERGROUPS of a connected Unix socket: what the kernel knows, with no look at the user database, which a
// confined daemon cannot read and which may be slow (LDAP).
absl::StatusOr<Peer> PeerOf(int connected_fd);

// Which peers may open a role's socket, checked at accept before a single octet is read.
struct PeerRule {
  std::vector<uid_t> uids;  // these users
  std::vector<gid_t> gids;  // or members (primary or supplementary) of these groups
  // The process's own effective uid: user, home and lab mode.
  static PeerRule Self();
  // PERMISSION_DENIED naming the peer when it is not allowed.
  absl::Status Check(const Peer& peer) const;
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_IPC_PEER_H_
