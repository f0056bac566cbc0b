// SPDX-License-Identifier: AGPL-3.0-only
// RoleDoor: the first words on a connection to a role whose key counts (role_key.h). gRPC's client
// says them by itself on each connection that it makes, as it would to an HTTP proxy:
//
//   CONNECT auspex HTTP/1.0
//   Auspex-Role-Key: <64 hexadecimal digits>
//                                                 HTTP/1.0 200 OK    and HTTP/2 begins, or
//                                                 HTTP/1.0 401 ...   and the connection ends
//
// So the key is checked once a connection, and a process without it reaches neither gRPC's parser
// nor any service. Connections that have not said all yet are held here: at most kMaxWaiting, each
// for kPatienceMs and 512 octets. Belongs to the accepting thread.
#ifndef AUSPEX_COMMON_IPC_ROLE_DOOR_H_
#define AUSPEX_COMMON_IPC_ROLE_DOOR_H_

#include <poll.h>

#include <chrono>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/ipc/peer.h"

namespace auspex {

class RoleDoor {
 public:
  static constexpr size_t kMaxWaiting = 16;
  static constexpr int kPatienceMs = 5000;

  // `role` for logs. `key`: 64 hexadecimal digits; empty: every connection is let in as it comes.
  RoleDoor(std::string role, std::string key) : role_(std::move(role)), key_(std::move(key)) {}

  // A connection (non-blocking) whose user may use the role. Let in at once when no key counts.
  // When too many wait, the one that has waited longest is closed: whoever has the key says it at
  // once.
  using LetIn = std::function<void(UniqueFd fd, const Peer& peer)>;
  void Take(UniqueFd fd, Peer peer, const LetIn& let_in);

  // Adds what is waited for to `waits`; the number of milliseconds until Look is needed anyway, -1
  // when nobody waits.
  int AddTo(std::vector<pollfd>& waits) const;
  // Hears all that wait; calls `let_in` for those that said the key, closes those that were wrong or
  // too slow.
  void Look(const LetIn& let_in);

 private:
  struct Waiting {
    UniqueFd fd;
    Peer peer;
    std::chrono::steady_clock::time_point until;
    std::string said;
  };
  enum class Verdict { kWait, kLetIn, kRefuse, kGone };
  Verdict Hear(Waiting& waiting) const;
  void Refuse(const Waiting& waiting, std::string_view reason) const;

  const std::string role_, key_;
  std::list<Waiting> waiting_;  // in the order of arrival
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_IPC_ROLE_DOOR_H_
