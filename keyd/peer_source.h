// SPDX-License-Identifier: AGPL-3.0-only
// PeerSource: lets a service, which is made before its server, ask that server who is calling. Set
// once; safe from any thread.
#ifndef AUSPEX_KEYD_PEER_SOURCE_H_
#define AUSPEX_KEYD_PEER_SOURCE_H_

#include <atomic>

#include "common/ipc/role_server.h"
#include "common/journal/intent.h"

namespace auspex::keyd {

class PeerSource {
 public:
  // `server` outlives every call of CallerOf.
  void Set(const RoleServer* server) {
    server_.store(server, std::memory_order_release);
    server_.notify_all();
  }
  // Who makes the call of `context`. Waits for Set in the moment between the server's first
  // connection and it.
  Caller CallerOf(Role role, const grpc::ServerContext& context) const {
    server_.wait(nullptr, std::memory_order_acquire);
    const Peer peer = server_.load(std::memory_order_acquire)->PeerOfCall(context);
    return {role, static_cast<uint32_t>(peer.pid), static_cast<uint32_t>(peer.uid)};
  }

 private:
  std::atomic<const RoleServer*> server_{nullptr};
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_PEER_SOURCE_H_
