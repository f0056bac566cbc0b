// SPDX-License-Identifier: AGPL-3.0-only
// Transfer: one HTTP exchange on one handle: sets the options, takes headers and body under the
// limits, and turns the end into a response or a status. Lives on its caller's stack for one call;
// used from that thread alone.
#ifndef AUSPEX_COMMON_HTTP_TRANSFER_H_
#define AUSPEX_COMMON_HTTP_TRANSFER_H_

#include <curl/curl.h>

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/http/handle_pool.h"
#include "common/http/http_message.h"
#include "common/http/trust_store.h"

namespace auspex {

class Transfer {
 public:
  // All references must outlive the transfer.
  Transfer(Handle& handle, TrustStore& trust, const std::string& user_agent,
           const HttpRequest& request, const HttpLimits& limits, const HttpSink& sink);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // Runs the exchange. Errors as in http_client.h.
  absl::StatusOr<HttpResponse> Run(std::stop_token stop);

 private:
  using Time = std::chrono::steady_clock::time_point;

  absl::Status Prepare();
  absl::Status Drive(std::stop_token& stop);
  absl::Status CheckTime(Time now);
  absl::Status StatusOf(CURLcode code) const;
  // Both return false to end the transfer, with `failure_` set.
  bool TakeHeaderLine(std::string_view line);
  bool TakeBody(std::string_view octets);

  static size_t OnHeader(char* data, size_t size, size_t count, void* self);
  static size_t OnBody(char* data, size_t size, size_t count, void* self);
  static CURLcode OnTls(CURL* easy, void* context, void* self);

  Handle& handle_;
  TrustStore& trust_;
  const std::string& user_agent_;
  const HttpRequest& request_;
  const HttpLimits& limits_;
  const HttpSink& sink_;

  curl_slist* header_list_ = nullptr;
  HttpResponse response_;
  absl::Status failure_;  // what a callback found; wins over libcurl's code
  size_t header_octets_ = 0;
  size_t header_lines_ = 0;
  uint64_t body_octets_ = 0;
  curl_off_t uploaded_ = 0;
  bool request_sent_ = false;
  Time started_, last_sign_;
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_HTTP_TRANSFER_H_
