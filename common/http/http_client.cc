// SPDX-License-Identifier: AGPL-3.0-only
#include "common/http/http_client.h"

#include <curl/curl.h>

#include <mutex>
#include <utility>

#include "common/http/handle_pool.h"
#include "common/http/transfer.h"
#include "common/http/trust_store.h"

namespace auspex {

void InitHttp() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

struct HttpClient::State {
  explicit State(Options o) : options(std::move(o)), trust(options.ca_file) {}
  const Options options;
  TrustStore trust;
  HandlePool pool;
};

HttpClient::HttpClient(Options options) : state_(std::make_unique<State>(std::move(options))) {
  InitHttp();
}
HttpClient::~HttpClient() = default;

absl::StatusOr<HttpResponse> HttpClient::Call(const HttpRequest& request, const HttpLimits& limits,
                                              std::stop_token stop, const HttpSink& sink) {
  std::unique_ptr<Handle> handle = state_->pool.Take();
  if (handle == nullptr) return absl::ResourceExhaustedError("http: out of memory");
  absl::StatusOr<HttpResponse> response = absl::InternalError("http: not run");
  {
    Transfer transfer(*handle, state_->trust, state_->options.user_agent, request, limits, sink);
    response = transfer.Run(std::move(stop));
  }
  state_->pool.Give(std::move(handle));
  return response;
}

}  // namespace auspex
