// SPDX-License-Identifier: AGPL-3.0-only
// RoleServer: one listening Unix socket, one role, one gRPC server object with that role's services (and grpc.health.v1) alone.
// It accepts connections itself, checks the peer's credentials before any octet is read, where the peer's user may be any of our daemons
// also the role's key (role_key.h), and only then hands the descriptor to gRPC. Methods may be called from any thread; services must outlive the server.
#ifndef AUSPEX_COMMON_IPC_ROLE_SERVER_H_
#define AUSPEX_COMMON_IPC_ROLE_SERVER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"
#include "common/ipc/peer.h"

namespace grpc {
class Service;
class ServerContext;
}  // namespace grpc

namespace auspex {

class CallLoop;

class RoleServer {
 public:
  struct Options {
    std::string role;         // one word, for logs and errors: "keyd/request"
    std::string socket_path;  // where to listen, unless systemd passed a socket of that path
    PeerRule allow;           // "my own user" alone: the key of the role counts too
    int max_message_octets = 4 * 1024 * 1024;
    int max_connections = 16;              // one more is closed at accept
    int min_pollers = 1, max_pollers = 2;  // gRPC's synchronous threads that wait for calls
    // Threads in all. A call holds one while it runs (a stream as long as it is open); one call more is RESOURCE_EXHAUSTED, so that a peer
    // that opens many calls cannot make the daemon grow.
    int max_threads = 96;
    // What gRPC may hold for all connections of the role: buffers of messages that are not whole yet, calls that wait. At the bound it
    // stops reading and gives up calls, so that a peer's half-sent messages or floods of calls cost the peer and not the machine.
    size_t max_memory_octets = 64 * 1024 * 1024;
  };
  // Listens (folder 0700, socket 0600 unless the rule has groups: then 0660) and serves until Shutdown. A stale socket file is replaced; one
  // that still answers is FAILED_PRECONDITION "... is served by process N".
  // Calls are answered by `loop`, which serves those services' methods and outlives the server, or without one by threads of gRPC's.
  static absl::StatusOr<std::unique_ptr<RoleServer>> Start(Options options,
                                                           std::vector<grpc::Service*> services,
                                                           CallLoop* loop = nullptr);
  virtual ~RoleServer() = default;
  // Stops accepting, ends calls within `grace_ms`, removes the socket file. Idempotent.
  virtual void Shutdown(int grace_ms = 1000) = 0;
  // The peer that makes the call of `context`, as seen at accept.
  virtual Peer PeerOfCall(const grpc::ServerContext& context) const = 0;
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_IPC_ROLE_SERVER_H_
