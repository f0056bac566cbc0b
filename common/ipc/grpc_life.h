// SPDX-License-Identifier: AGPL-3.0-only
// KeepGrpc: starts gRPC as this project uses it, and never shuts it down. Its shut-down waits for a poller thread that may sleep
// for ten seconds, which made a daemon that had stopped linger until it was killed; a process that ends needs none of it. Safe from
// any thread, but called first before there are others, since it looks at the environment.
#ifndef AUSPEX_COMMON_IPC_GRPC_LIFE_H_
#define AUSPEX_COMMON_IPC_GRPC_LIFE_H_

namespace auspex {

void KeepGrpc();

}  // namespace auspex

#endif  // AUSPEX_COMMON_IPC_GRPC_LIFE_H_
