// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/coordinator.h"

#include <algorithm>
#include <optional>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/log/log.h"

namespace auspex {
namespace {

// "/api/v0/..." below the prefix, of unreserved characters only: no query, no escape, no dot
// segment (2.4).
bool IsApiPath(std::string_view path, const std::string& prefix) {
  const std::string start = Cat(prefix, "/api/v0/");
  if (path.substr(0, start.size()) != start || path.size() == start.size() || path.size() > 2048)
    return false;
  const bool plain = std::all_of(path.begin(), path.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
           c == '-' || c == '.' || c == '_' || c == '~';
  });
  const std::string closed = Cat(path, "/");
  return plain && closed.find("//") == std::string::npos &&
         closed.find("/./") == std::string::npos && closed.find("/../") == std::string::npos;
}

}  // namespace

absl::StatusOr<keyd::v1::SignedRequest> Coordinator::Sign(
    const keyd::v1::SignRequestRequest& intent, std::stop_token stop) {
  ASSIGN_OR_RETURN(keyd::v1::SignedRequest request, keyd_.Sign(intent, std::move(stop)));
  if (request.authority() != base_.authority()) {
    // Not FAILED_PRECONDITION, which a worker that was only just enrolled also meets and waits out.
    return absl::AbortedError(Cat("keyd signs for ", Printable(request.authority()),
                                  ", but coordinator.url names ", base_.authority(),
                                  "; put the old URL back, or withdraw and enrol again"));
  }
  if (!IsApiPath(request.path(), base_.prefix())) {
    return absl::AbortedError(Cat("keyd signs for the path ", Printable(request.path()),
                                  ", which is not below ", base_.str(), "/api/v0/"));
  }
  return request;
}

absl::StatusOr<HttpResponse> Coordinator::Send(
    const keyd::v1::SignedRequest& request, std::string body, const HttpLimits& limits,
    std::stop_token stop, std::vector<std::pair<std::string, std::string>> more_headers,
    const HttpSink& sink) {
  HttpRequest http{.method = request.method(),
                   .base = base_,
                   .target = request.path(),
                   .headers = std::move(more_headers),
                   .body = std::move(body)};
  if (!http.body.empty()) http.headers.emplace_back("Content-Type", "application/json");
  if (!request.content_digest().empty())
    http.headers.emplace_back("Content-Digest", request.content_digest());
  http.headers.emplace_back("Signature-Input", request.signature_input());
  http.headers.emplace_back("Signature", request.signature());
  ASSIGN_OR_RETURN(HttpResponse response, http_.Call(http, limits, std::move(stop), sink));
  NoteClock(response);
  return response;
}

absl::StatusOr<HttpResponse> Coordinator::Call(const keyd::v1::SignRequestRequest& intent,
                                               std::string body, std::stop_token stop) {
  ASSIGN_OR_RETURN(const keyd::v1::SignedRequest request, Sign(intent, stop));
  return Send(request, std::move(body), kSmallCall, std::move(stop));
}

absl::StatusOr<HttpResponse> Coordinator::CallUnsigned(const Route& route, std::string json_body,
                                                       std::stop_token stop) {
  return http_.Call({.method = std::string(route.method),
                     .base = base_,
                     .target = base_.TargetOf(route.path),
                     .headers = {{"Content-Type", "application/json"}},
                     .body = std::move(json_body)},
                    kSmallCall, std::move(stop));
}

void Coordinator::NoteClock(const HttpResponse& response) {
  if (response.status != 401) return;
  const std::optional<int64_t> skew = ClockSkew(ReadError(response), Clock::System().NowSeconds());
  if (!skew.has_value()) return;
  counters_.SetClockSkew(*skew);
  LogWarning("clock_skew",
             {{"coordinator_minus_local_seconds", *skew}, {"hint", "set this machine's clock"}});
}

}  // namespace auspex
