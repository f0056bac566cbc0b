// SPDX-License-Identifier: AGPL-3.0-only
// Client side of the role sockets, and the translation between absl::Status and grpc::Status (same codes, message kept).
#ifndef AUSPEX_COMMON_IPC_CHANNEL_H_
#define AUSPEX_COMMON_IPC_CHANNEL_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/status.h"

namespace auspex {

// A channel to the Unix socket at `path`. Connects lazily, reconnects with backoff 20 ms .. 1 s. Messages up to 64 MiB.
std::shared_ptr<grpc::Channel> ConnectTo(const std::string& path);

// Sets `context`'s deadline to `seconds` from now.
void SetDeadline(grpc::ClientContext& context, double seconds);

grpc::Status ToGrpc(const absl::Status& status);
// `what` names the call for the message: "stated.Offer: <message>".
absl::Status FromGrpc(const grpc::Status& status, std::string_view what);

}  // namespace auspex

#endif  // AUSPEX_COMMON_IPC_CHANNEL_H_
