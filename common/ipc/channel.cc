// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/channel.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "common/base/cat.h"
#include "common/ipc/grpc_life.h"
#include "common/ipc/role_key.h"
#include "common/log/log.h"

namespace auspex {
namespace {

// gRPC's arguments for a connection through an HTTP proxy, which its headers do not export. They
// make it say the key on each connection that it makes, reconnections included: see role_door.h.
constexpr char kConnectServer[] = "grpc.http_connect_server";
constexpr char kConnectHeaders[] = "grpc.http_connect_headers";

// The key of the role at `path`; empty: none counts there, or it is not ours to read.
std::string RoleKeyFor(const std::string& path) {
  absl::StatusOr<std::string> key = ReadRoleKey(path);
  struct stat folder {};
  // A server that has yet to start will find the key that is made here. A folder of another user, or one
  // that others may look into (root asks there too), is system mode's, where the user is what counts.
  if (absl::IsNotFound(key.status()) &&
      ::stat(path.substr(0, path.rfind('/')).c_str(), &folder) == 0 &&
      folder.st_uid == ::geteuid() && (folder.st_mode & 077) == 0) {
    key = EnsureRoleKey(path);
  }
  if (!key.ok() && !absl::IsNotFound(key.status())) {
    LogWarning("role_key_unreadable", {{"cause", std::string(key.status().message())}});
  }
  return key.value_or("");
}

}  // namespace

std::shared_ptr<grpc::Channel> ConnectTo(const std::string& path) {
  KeepGrpc();
  grpc::ChannelArguments arguments;
  // The peers are on this machine and restart within milliseconds: retry at that pace.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  // How long one attempt may take, handshake included: a busy machine needs more than the pause between attempts.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetMaxReceiveMessageSize(64 * 1024 * 1024);
  arguments.SetMaxSendMessageSize(64 * 1024 * 1024);
  // Each channel its own connection: the server counts and checks connections, and a shared one would outlive its owner.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  for (const char* unused : kUnusedOfGrpc) arguments.SetInt(unused, 0);
  if (const std::string key = RoleKeyFor(path); !key.empty()) {
    arguments.SetString(kConnectServer, "auspex");
    arguments.SetString(kConnectHeaders, Cat("Auspex-Role-Key:", key));
  }
  return grpc::CreateCustomChannel("unix:" + path, grpc::InsecureChannelCredentials(), arguments);
}

void SetDeadline(grpc::ClientContext& context, double seconds) {
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6)));
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

absl::Status FromGrpc(const grpc::Status& status, std::string_view what) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      Cat(what, ": ", status.error_message()));
}

}  // namespace auspex
