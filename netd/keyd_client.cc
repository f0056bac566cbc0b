// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/keyd_client.h"

#include <algorithm>
#include <utility>

#include "auspex/keyd/v1/keyd.grpc.pb.h"
#include "common/ipc/wait_queues.h"
#include "netd/rpc.h"
#include "netd/sleep.h"

namespace auspex {
namespace {

// How long a call waits, in seconds of pauses, while keyd signs no more of its intent (its rates):
// the default ones give way within milliseconds, an owner's own may take longer.
constexpr double kRatePatience = 10;
constexpr double kFirstPause = 0.01, kLongestPause = 1;

}  // namespace

struct KeydClient::State {
  explicit State(const std::string& path)
      : stub(keyd::v1::RequestSigner::NewStub(ConnectTo(path))) {}
  std::unique_ptr<keyd::v1::RequestSigner::Stub> stub;
  WaitQueues queues;
};

KeydClient::KeydClient(const std::string& socket_path)
    : state_(std::make_unique<State>(socket_path)) {}
KeydClient::~KeydClient() = default;

absl::StatusOr<keyd::v1::SignedRequest> KeydClient::Sign(const keyd::v1::SignRequestRequest& intent,
                                                         std::stop_token stop) {
  keyd::v1::SignedRequest out;
  double waited = 0;
  for (double pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
    const absl::Status status =
        RunRpc("keyd.SignRequest", kRpcSeconds, stop, [&](grpc::ClientContext& context) {
          return state_->queues.Call(out, [&](grpc::CompletionQueue& queue) {
            return state_->stub->AsyncSignRequest(&context, intent, &queue);
          });
        });
    if (status.ok()) return out;
    waited += pause;
    if (!absl::IsResourceExhausted(status) || waited > kRatePatience) return status;
    if (!SleepUnlessStopped(stop, pause)) return status;
  }
}

}  // namespace auspex
