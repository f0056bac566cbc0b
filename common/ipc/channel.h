// SPDX-License-Identifier: AGPL-3.0-only
// Client side of the role sockets, and the translation between absl::Status and grpc::Status (same codes, message kept).
#ifndef AUSPEX_COMMON_IPC_CHANNEL_H_
#define AUSPEX_COMMON_IPC_CHANNEL_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/status.h"

namespace auspex {

// A channel to the role's Unix socket at `path`. Connects lazily, reconnects with backoff 20 ms .. 1 s, and says the role's key
// (role_key.h), which is read here once, on each connection. A client that may come before its server's folder exists calls EnsureRoleKey
// first. Messages up to 64 MiB.
std::shared_ptr<grpc::Channel> ConnectTo(const std::string& path);

// Arguments of a connection's end for what gRPC does of itself and nothing here uses; 0 turns each off: counters for a debugging
// service, probes of the link's bandwidth, which send pings, and compression in both directions.
inline constexpr const char* kUnusedOfGrpc[] = {GRPC_ARG_ENABLE_CHANNELZ, GRPC_ARG_HTTP2_BDP_PROBE,
                                                GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION,
                                                GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION};

// Sets `context`'s deadline to `seconds` from now.
void SetDeadline(grpc::ClientContext& context, double seconds);

grpc::Status ToGrpc(const absl::Status& status);
// `what` names the call for the message: "stated.Offer: <message>".
absl::Status FromGrpc(const grpc::Status& status, std::string_view what);

}  // namespace auspex

#endif  // AUSPEX_COMMON_IPC_CHANNEL_H_
