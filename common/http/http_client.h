// SPDX-License-Identifier: AGPL-3.0-only
// HttpClient: HTTP/1.1 calls to one or several hosts, as wire protocol 1.1 asks for: TLS with
// verified chain and name, no redirects, no cookies, no retries of its own, proxies from the
// environment (never for plain http, which stays on this machine), gzip and deflate decoded under a
// cap. One object serves any number of threads: each call runs on its caller's thread with a handle
// from a pool, so that connections are kept alive and reused. The client must outlive its calls.
//
//   HttpClient client({.ca_file = ""});
//   absl::StatusOr<HttpResponse> r = client.Call({.method = "GET", .base = base, .target = "/x"},
//   {}, stop);
//
// Errors: UNAVAILABLE could not connect, TLS failed, the connection broke or the body was cut off;
// DEADLINE_EXCEEDED a time limit was crossed; RESOURCE_EXHAUSTED the answer was too large;
// CANCELLED the stop token was triggered; INVALID_ARGUMENT the request cannot be sent as it is;
// FAILED_PRECONDITION the CA file cannot be read. Messages name the authority and never hold header
// values or bodies.
#ifndef AUSPEX_COMMON_HTTP_HTTP_CLIENT_H_
#define AUSPEX_COMMON_HTTP_HTTP_CLIENT_H_

#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "common/http/http_message.h"

namespace auspex {

// Initialises libcurl for the process. Call from main before other threads exist; later calls do
// nothing.
void InitHttp();

class HttpClient {
 public:
  struct Options {
    std::string ca_file;  // PEM bundle trusted beside the system's; empty: the system's alone
    std::string user_agent = "auspexai-worker/0.0.1";
  };
  explicit HttpClient(Options options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Makes one call and waits for its end, for a limit, or for `stop` (which ends it within
  // milliseconds from any thread). With a `sink` the body of a 200 goes there; any other status'
  // body is in the response.
  absl::StatusOr<HttpResponse> Call(const HttpRequest& request, const HttpLimits& limits = {},
                                    std::stop_token stop = {}, const HttpSink& sink = nullptr);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_HTTP_HTTP_CLIENT_H_
