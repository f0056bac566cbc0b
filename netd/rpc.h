// SPDX-License-Identifier: AGPL-3.0-only
// RunRpc: one unary call to a neighbouring daemon under a deadline and a stop token. Waits for the
// peer to come up within the deadline. Included by the client files only, since it brings gRPC
// along.
#ifndef AUSPEX_NETD_RPC_H_
#define AUSPEX_NETD_RPC_H_

#include <grpcpp/grpcpp.h>

#include <stop_token>
#include <string_view>

#include "absl/status/status.h"
#include "common/ipc/channel.h"

namespace auspex {

// How long a neighbour may take, in seconds: keyd and stated answer in milliseconds, a restart of
// one takes less than this.
inline constexpr double kRpcSeconds = 10;

// `call` makes the call with the context that it is given and returns its grpc::Status.
template <typename Call>
absl::Status RunRpc(std::string_view what, double seconds, std::stop_token stop, Call call) {
  grpc::ClientContext context;
  SetDeadline(context, seconds);
  context.set_wait_for_ready(true);
  std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  return FromGrpc(call(context), what);
}

}  // namespace auspex

#endif  // AUSPEX_NETD_RPC_H_
