// SPDX-License-Identifier: AGPL-3.0-only
// Coordinator: calls to the one configured coordinator. A signed call has two halves: keyd composes
// and signs, then exactly what it returned is sent, after a check that it addresses this
// coordinator. Safe from any thread.
#ifndef AUSPEX_NETD_COORDINATOR_H_
#define AUSPEX_NETD_COORDINATOR_H_

#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "auspex/keyd/v1/keyd.pb.h"
#include "common/http/http_client.h"
#include "common/wire/base_url.h"
#include "common/wire/routes.h"
#include "netd/answer.h"
#include "netd/counters.h"
#include "netd/keyd_client.h"

namespace auspex {

// Limits of an ordinary call.
inline constexpr HttpLimits kSmallCall = {.total_seconds = 60, .max_body_octets = kMaxSmallAnswer};

class Coordinator {
 public:
  // All must outlive the object.
  Coordinator(const BaseUrl& base, HttpClient& http, KeydClient& keyd, Counters& counters)
      : base_(base), http_(http), keyd_(keyd), counters_(counters) {}

  // First half: keyd's answer, or its error. FAILED_PRECONDITION too when keyd signs for another
  // coordinator.
  absl::StatusOr<keyd::v1::SignedRequest> Sign(const keyd::v1::SignRequestRequest& intent,
                                               std::stop_token stop);
  // Second half: errors as HttpClient's. `body` must be what was digested for the intent.
  absl::StatusOr<HttpResponse> Send(
      const keyd::v1::SignedRequest& request, std::string body, const HttpLimits& limits,
      std::stop_token stop, std::vector<std::pair<std::string, std::string>> more_headers = {},
      const HttpSink& sink = nullptr);
  // Both halves, where the caller need not know which one failed.
  absl::StatusOr<HttpResponse> Call(const keyd::v1::SignRequestRequest& intent, std::string body,
                                    std::stop_token stop);
  // An unsigned call with a JSON body.
  absl::StatusOr<HttpResponse> CallUnsigned(const Route& route, std::string json_body,
                                            std::stop_token stop);

  const BaseUrl& base() const { return base_; }

 private:
  // Looks for a clock that is off, so that the log and the status can name it.
  void NoteClock(const HttpResponse& response);

  const BaseUrl& base_;
  HttpClient& http_;
  KeydClient& keyd_;
  Counters& counters_;
};

}  // namespace auspex

#endif  // AUSPEX_NETD_COORDINATOR_H_
