// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/fake_idp.h"

#include <algorithm>
#include <array>

#include "common/base/cat.h"
#include "coordd/random_ids.h"
#include "coordd/reply.h"

namespace auspex::coordd {
namespace {

constexpr std::string_view kDeviceCode = "login/device/code";
constexpr std::string_view kAccessToken = "login/oauth/access_token";
constexpr std::string_view kGoodPrefix = "good-";
constexpr std::array<std::string_view, 5> kScenarios = {"good", "slow_down", "denied", "expired",
                                                        "pending-then-good"};

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The decoded field `name` of an application/x-www-form-urlencoded body; "" when absent or
// malformed.
std::string FormField(std::string_view body, std::string_view name) {
  while (!body.empty()) {
    const size_t end = std::min(body.find('&'), body.size());
    const std::string_view pair = body.substr(0, end);
    body.remove_prefix(std::min(end + 1, body.size()));
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos || pair.substr(0, equals) != name) continue;
    const std::string_view raw = pair.substr(equals + 1);
    std::string out;
    for (size_t i = 0; i < raw.size(); ++i) {
      if (raw[i] == '+') {
        out.push_back(' ');
      } else if (raw[i] == '%') {
        if (i + 2 >= raw.size()) return "";
        const int high = HexDigit(raw[i + 1]), low = HexDigit(raw[i + 2]);
        if (high < 0 || low < 0) return "";
        out.push_back(static_cast<char>(high * 16 + low));
        i += 2;
      } else {
        out.push_back(raw[i]);
      }
    }
    return out;
  }
  return "";
}

Reply FlowError(std::string_view error) { return Ok(JsonObject{{"error", error}}); }

}  // namespace

Reply FakeIdp::Handle(const Request& request) {
  std::string_view rest = request.path();
  rest.remove_prefix(kPrefix.size());
  std::string scenario = "good";
  for (const std::string_view known : kScenarios) {
    if (rest.starts_with(known) && rest.substr(known.size()).starts_with('/')) {
      scenario = known;
      rest.remove_prefix(known.size() + 1);
      break;
    }
  }
  if (rest != kDeviceCode && rest != kAccessToken) return PlainDetail(404, "Not Found");
  if (request.method != "POST") return PlainDetail(405, "Method Not Allowed");
  return rest == kDeviceCode ? Start(request, scenario) : Poll(request, scenario);
}

Reply FakeIdp::Start(const Request& request, const std::string& scenario) {
  if (FormField(request.body, "client_id").empty())
    return FlowError("incorrect_client_credentials");
  if (flows_.size() >= kMaxFlows) flows_.clear();
  const std::string device_code = MakeToken();
  flows_[device_code] = Flow{.scenario = scenario};
  return Ok(JsonObject{{"device_code", device_code},
                       {"user_code", "FAKE-CODE"},
                       {"verification_uri", "https://idp.invalid/device"},
                       {"expires_in", 900},
                       {"interval", 1}});
}

Reply FakeIdp::Poll(const Request& request, const std::string& scenario) {
  if (FormField(request.body, "grant_type") != "urn:ietf:params:oauth:grant-type:device_code") {
    return FlowError("unsupported_grant_type");
  }
  const auto it = flows_.find(FormField(request.body, "device_code"));
  if (it == flows_.end() || it->second.scenario != scenario) {
    return FlowError("incorrect_device_code");
  }
  const int poll = ++it->second.polls;
  if (scenario == "denied") return FlowError("access_denied");
  if (scenario == "expired") return FlowError("expired_token");
  if (scenario == "slow_down" && poll == 1) return FlowError("slow_down");
  if (scenario == "pending-then-good" && poll <= 2) return FlowError("authorization_pending");
  flows_.erase(it);
  return Ok(JsonObject{{"access_token", Cat(kGoodPrefix, scenario, "-user")},
                       {"token_type", "bearer"},
                       {"scope", "read:user"}});
}

std::optional<std::string> FakeIdp::SubjectOf(std::string_view untrusted_access_token) {
  if (!untrusted_access_token.starts_with(kGoodPrefix)) return std::nullopt;
  const std::string_view subject = untrusted_access_token.substr(kGoodPrefix.size());
  if (subject.empty() || subject.size() > 100 ||
      !std::all_of(subject.begin(), subject.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
      })) {
    return std::nullopt;
  }
  return std::string(subject);
}

}  // namespace auspex::coordd
