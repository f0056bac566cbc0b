// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/keyd_client.h"

#include <utility>

#include "auspex/keyd/v1/keyd.grpc.pb.h"
#include "common/base/status_macros.h"
#include "netd/rpc.h"

namespace auspex {

struct KeydClient::State {
  explicit State(const std::string& path)
      : stub(keyd::v1::RequestSigner::NewStub(ConnectTo(path))) {}
  std::unique_ptr<keyd::v1::RequestSigner::Stub> stub;
};

KeydClient::KeydClient(const std::string& socket_path)
    : state_(std::make_unique<State>(socket_path)) {}
KeydClient::~KeydClient() = default;

absl::StatusOr<keyd::v1::SignedRequest> KeydClient::Sign(const keyd::v1::SignRequestRequest& intent,
                                                         std::stop_token stop) {
  keyd::v1::SignedRequest out;
  RETURN_IF_ERROR(
      RunRpc("keyd.SignRequest", kRpcSeconds, std::move(stop), [&](grpc::ClientContext& context) {
        return state_->stub->SignRequest(&context, intent, &out);
      }));
  return out;
}

}  // namespace auspex
