// SPDX-License-Identifier: AGPL-3.0-only
// KeydClient: keyd's role "request" as netd uses it. Safe from any thread.
#ifndef AUSPEX_NETD_KEYD_CLIENT_H_
#define AUSPEX_NETD_KEYD_CLIENT_H_

#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "auspex/keyd/v1/keyd.pb.h"

namespace auspex {

class KeydClient {
 public:
  explicit KeydClient(const std::string& socket_path);
  ~KeydClient();

  // A request as it is to be sent. Errors are keyd's (keyd.proto); UNAVAILABLE or DEADLINE_EXCEEDED
  // when keyd does not answer. RESOURCE_EXHAUSTED, more of the intent than its rate, is waited out
  // for some seconds first.
  absl::StatusOr<keyd::v1::SignedRequest> Sign(const keyd::v1::SignRequestRequest& intent,
                                               std::stop_token stop);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace auspex

#endif  // AUSPEX_NETD_KEYD_CLIENT_H_
