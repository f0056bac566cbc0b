// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/device_flow.h"

#include <string.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/ids/ids.h"
#include "common/log/log.h"
#include "netd/answer.h"
#include "netd/sleep.h"

namespace auspex {
namespace {

constexpr HttpLimits kProviderCall = {.total_seconds = 30, .max_body_octets = 64 * 1024};
constexpr int64_t kDefaultInterval = 5, kSlowDown = 5, kLongestInterval = 300;
constexpr int64_t kLongestLife = 3600;

struct Started {
  DeviceFlow::Prompt prompt;
  std::string device_code;
  int64_t interval = kDefaultInterval;
};

bool IsPlain(const std::string& text, size_t max) {
  return !text.empty() && text.size() <= max &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

// An integer member, or a string of digits.
std::optional<int64_t> Seconds(const JsonValue& answer, std::string_view name) {
  const JsonValue* member = answer.Find(name);
  if (member == nullptr) return std::nullopt;
  if (const std::string* text = member->as_string()) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error != std::errc() || end != text->data() + text->size() || text->empty())
      return std::nullopt;
    return value;
  }
  return member->AsInt64();
}

// application/x-www-form-urlencoded.
std::string Encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
        c == '.' || c == '_' || c == '~') {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kHex[octet >> 4]);
      out.push_back(kHex[octet & 15]);
    }
  }
  return out;
}

absl::StatusOr<Started> ReadStart(const HttpResponse& response) {
  if (response.status != 200)
    return absl::AbortedError(Cat("login: the identity provider answered HTTP ", response.status));
  ASSIGN_OR_RETURN(const JsonValue answer, ReadAnswerObject(response));
  const std::string* device_code = answer.FindString("device_code");
  const std::string* user_code = answer.FindString("user_code");
  const std::string* uri = answer.FindString("verification_uri");
  const std::optional<int64_t> expires = Seconds(answer, "expires_in");
  if (device_code == nullptr || user_code == nullptr || uri == nullptr || !expires.has_value()) {
    return absl::InvalidArgumentError(
        "login: the identity provider's answer lacks a required member");
  }
  const bool is_web = uri->rfind("https://", 0) == 0 || uri->rfind("http://", 0) == 0;
  if (!IsPlain(*device_code, 512) || !IsPlain(*user_code, 64) || !IsPlain(*uri, 512) || !is_web ||
      *expires < 1) {
    return absl::InvalidArgumentError("login: the identity provider's answer cannot be shown");
  }
  Started out;
  out.device_code = *device_code;
  out.prompt = {*uri, *user_code, static_cast<uint32_t>(std::min(*expires, kLongestLife))};
  out.interval = std::clamp<int64_t>(Seconds(answer, "interval").value_or(kDefaultInterval), 1,
                                     kLongestInterval);
  return out;
}

}  // namespace

AccessToken::AccessToken(AccessToken&& other) noexcept : text_(other.text_) { other.Wipe(); }

AccessToken& AccessToken::operator=(AccessToken&& other) noexcept {
  if (this != &other) {
    Wipe();
    text_ = other.text_;
    other.Wipe();
  }
  return *this;
}

void AccessToken::Wipe() {
  explicit_bzero(text_.data(), text_.size());
  text_.clear();
}

absl::StatusOr<HttpResponse> DeviceFlow::Post(std::string_view path, std::string form,
                                              std::stop_token stop) {
  return http_.Call({.method = "POST",
                     .base = options_.provider,
                     .target = options_.provider.TargetOf(path),
                     .headers = {{"Content-Type", "application/x-www-form-urlencoded"},
                                 {"Accept", "application/json"}},
                     .body = std::move(form)},
                    kProviderCall, std::move(stop));
}

absl::StatusOr<AccessToken> DeviceFlow::Run(const std::function<void(const Prompt&)>& show,
                                            std::stop_token stop) {
  using Steady = std::chrono::steady_clock;
  const std::string client = Encode(options_.client_id);
  ASSIGN_OR_RETURN(
      const HttpResponse first,
      Post("/login/device/code", Cat("client_id=", client, "&scope=read%3Auser"), stop));
  ASSIGN_OR_RETURN(Started started, ReadStart(first));
  const Steady::time_point deadline =
      Steady::now() + options_.second * started.prompt.expires_in_seconds;
  show(started.prompt);

  const std::string form =
      Cat("client_id=", client, "&device_code=", Encode(started.device_code),
          "&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code");
  while (Steady::now() < deadline) {
    const std::chrono::duration<double> pause = options_.second * started.interval;
    if (!SleepUnlessStopped(stop, pause.count())) return absl::CancelledError("login: stopped");
    absl::StatusOr<HttpResponse> response = Post("/login/oauth/access_token", form, stop);
    if (stop.stop_requested()) return absl::CancelledError("login: stopped");
    if (!response.ok()) {
      LogWarning("login_poll_failed", {{"error", std::string(response.status().message())}});
      continue;
    }
    if (response->status == 429 || response->status >= 500) {
      LogWarning("login_poll_failed", {{"status", response->status}});
      continue;
    }
    if (response->status != 200 && response->status != 400) {
      return absl::AbortedError(
          Cat("login: the identity provider answered HTTP ", response->status));
    }
    ASSIGN_OR_RETURN(JsonValue answer, ReadAnswerObject(*response));
    explicit_bzero(response->body.data(), response->body.size());
    if (const std::string* token = answer.FindString("access_token");
        token != nullptr && IsPlain(*token, 1024)) {
      AccessToken out(*token);
      if (JsonObject* object = answer.as_object()) {
        if (auto member = object->find("access_token"); member != object->end()) {
          explicit_bzero(const_cast<char*>(member->second.as_string()->data()),
                         member->second.as_string()->size());
        }
      }
      return out;
    }
    const std::string* error = answer.FindString("error");
    if (error == nullptr)
      return absl::InvalidArgumentError(
          "login: the identity provider's answer has neither token nor error");
    if (*error == "authorization_pending") continue;
    if (*error == "slow_down") {
      started.interval = std::min(started.interval + kSlowDown, kLongestInterval);
      continue;
    }
    if (*error == "expired_token") break;
    if (*error == "access_denied") return absl::AbortedError("login: access was denied");
    return absl::AbortedError(Cat("login: the identity provider says ", Printable(*error)));
  }
  return absl::DeadlineExceededError(
      "login: the code expired before it was confirmed; run login again");
}

}  // namespace auspex
