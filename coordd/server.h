// SPDX-License-Identifier: AGPL-3.0-only
// Server: HTTP/1.1 over TCP or TLS for a Coordinator, on one thread (Boost.Beast coroutines). It
// only carries: bounds on header, body and time, keep-alive, held polls, and group commit. It knows
// no route.
//
// Bounds: 16 KiB of header, the coordinator's body cap counted while reading (chunked bodies too),
// `client_seconds` for a whole header and the same plus one second per 64 KiB for a body,
// kMaxConnections at once. A client that is slower is cut off.
#ifndef AUSPEX_COORDD_SERVER_H_
#define AUSPEX_COORDD_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordd/coordinator.h"

namespace auspex::coordd {

struct ServerOptions {
  std::string address = "127.0.0.1";     // numeric
  uint16_t port = 0;                     // 0 = any free one
  bool allow_remote = false;             // listen on an address that is not loopback; needs TLS
  std::string tls_certificate, tls_key;  // PEM files; both or none
  int client_seconds = 10;               // patience with a slow client
  int idle_seconds = 75;                 // keep-alive between requests
};

class Server {
 public:
  // Binds. INVALID_ARGUMENT when the options break a rule above, UNAVAILABLE when the address
  // cannot be bound.
  static absl::StatusOr<std::unique_ptr<Server>> Create(Coordinator& coordinator,
                                                        ServerOptions options);
  ~Server();

  uint16_t port() const;
  // Serves until SIGTERM or SIGINT; open exchanges are cut off, everything that was answered is
  // durable.
  absl::Status Run();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_SERVER_H_
