// SPDX-License-Identifier: AGPL-3.0-only
// DeviceFlow: the login of wire protocol section 7 (RFC 8628) against an identity provider, up to
// its access token. Failures in between are waited out until the code expires (W13). One Run at a
// time per object; blocking.
#ifndef AUSPEX_NETD_DEVICE_FLOW_H_
#define AUSPEX_NETD_DEVICE_FLOW_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "common/http/http_client.h"
#include "common/wire/base_url.h"

namespace auspex {

// A token that is wiped when it goes. Move-only.
class AccessToken {
 public:
  explicit AccessToken(std::string text) : text_(std::move(text)) {}
  AccessToken(AccessToken&& other) noexcept;
  AccessToken& operator=(AccessToken&& other) noexcept;
  ~AccessToken() { Wipe(); }
  // For the body of the one call that exchanges it.
  const std::string& text() const { return text_; }

 private:
  void Wipe();
  std::string text_;
};

class DeviceFlow {
 public:
  struct Options {
    BaseUrl provider;
    std::string client_id;
    // Length of what the provider calls a second; tests shorten it.
    std::chrono::milliseconds second = std::chrono::milliseconds(1000);
  };
  // What the person has to do; checked: printable, the URI is http or https.
  struct Prompt {
    std::string verification_uri, user_code;
    uint32_t expires_in_seconds = 0;
  };
  // `http` must outlive the object.
  DeviceFlow(Options options, HttpClient& http) : options_(std::move(options)), http_(http) {}

  // Shows the prompt once and waits for the person. UNAVAILABLE the provider could not be reached
  // at the start; ABORTED the person or the provider said no; DEADLINE_EXCEEDED the code expired;
  // INVALID_ARGUMENT an answer that cannot be used; CANCELLED `stop`.
  absl::StatusOr<AccessToken> Run(const std::function<void(const Prompt&)>& show,
                                  std::stop_token stop);

 private:
  absl::StatusOr<HttpResponse> Post(std::string_view path, std::string form, std::stop_token stop);

  const Options options_;
  HttpClient& http_;
};

}  // namespace auspex

#endif  // AUSPEX_NETD_DEVICE_FLOW_H_
