// SPDX-License-Identifier: AGPL-3.0-only
// FakeIdp: a stand-in for the identity provider, for laboratories and tests only (--idp fake). It
// answers the two calls of the device flow (RFC 8628, as GitHub speaks it) under
// /fake-idp/[scenario/]login/..., and knows whose access token "good-<subject>" is. In memory,
// bounded. Not thread-safe.
//
// Scenarios: "good" (also without a scenario) gives the token at the first poll;
// "pending-then-good" after two authorization_pending; "slow_down" after one slow_down; "denied"
// and "expired" never. The token is "good-<scenario>-user".
#ifndef AUSPEX_COORDD_FAKE_IDP_H_
#define AUSPEX_COORDD_FAKE_IDP_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "coordd/http_message.h"

namespace auspex::coordd {

class FakeIdp {
 public:
  static constexpr std::string_view kPrefix = "/fake-idp/";
  // Answers a request whose path begins with kPrefix.
  Reply Handle(const Request& request);
  // The subject behind an access token; nullopt when the token is not good.
  static std::optional<std::string> SubjectOf(std::string_view untrusted_access_token);

 private:
  struct Flow {
    std::string scenario;
    int polls = 0;
  };
  Reply Start(const Request& request, const std::string& scenario);
  Reply Poll(const Request& request, const std::string& scenario);
  static constexpr size_t kMaxFlows = 10'000;
  std::map<std::string, Flow> flows_;  // by device code
};

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_FAKE_IDP_H_
