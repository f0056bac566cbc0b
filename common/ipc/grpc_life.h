// SPDX-License-Identifier: AGPL-3.0-only
// KeepGrpc: gRPC is never shut down once it was started. Its shut-down waits for a poller thread that may sleep for ten seconds,
// which made a daemon that had stopped linger until it was killed; a process that ends needs none of it. Safe from any thread.
#ifndef AUSPEX_COMMON_IPC_GRPC_LIFE_H_
#define AUSPEX_COMMON_IPC_GRPC_LIFE_H_

#include <grpc/grpc.h>

namespace auspex {

inline void KeepGrpc() {
  static const bool started = (grpc_init(), true);
  static_cast<void>(started);
}

}  // namespace auspex

#endif  // AUSPEX_COMMON_IPC_GRPC_LIFE_H_
