// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/answer.h"

#include <algorithm>
#include <utility>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/ids/ids.h"
#include "common/json/reader.h"
#include "common/wire/refusal.h"

namespace auspex {
namespace {

constexpr JsonLimits kSmallLimits = {
    .max_octets = kMaxSmallAnswer, .max_depth = 32, .max_values = 10'000};

std::string CodeOf(const std::string* text) {
  if (text == nullptr || text->empty() || text->size() > 64) return "";
  const bool word = std::all_of(text->begin(), text->end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  return word ? *text : "";
}

}  // namespace

absl::StatusOr<JsonValue> ReadAnswerObject(const HttpResponse& response) {
  absl::StatusOr<JsonValue> value = ReadJson(response.body, kSmallLimits);
  if (!value.ok()) {
    return absl::InvalidArgumentError(Cat("HTTP ", response.status, " with an unreadable body: ",
                                          std::string(value.status().message())));
  }
  if (value->as_object() == nullptr) {
    return absl::InvalidArgumentError(
        Cat("HTTP ", response.status, " whose body is not an object"));
  }
  return value;
}

CoordinatorError ReadError(const HttpResponse& response) {
  CoordinatorError out;
  absl::StatusOr<JsonValue> body = ReadJson(response.body, kSmallLimits);
  if (!body.ok()) return out;
  const JsonValue* detail = body->Find("detail");
  if (detail == nullptr) {
    if (const std::string* text = body->FindString("error")) {
      out.code = CodeOf(text);
      if (out.code.empty()) out.message = CleanText(*text, 300);
    }
    return out;
  }
  if (const std::string* text = detail->as_string()) {
    out.message = CleanText(*text, 300);
    return out;
  }
  if (const JsonArray* list = detail->as_array()) {
    // A validation list: the first entry's text is enough for a log.
    out.message = "the body failed validation";
    if (!list->empty()) {
      if (const std::string* text = list->front().FindString("msg"))
        out.message = CleanText(*text, 300);
    }
    return out;
  }
  const JsonValue* error = detail->Find("error");
  if (error == nullptr) return out;
  out.code = CodeOf(error->FindString("code"));
  if (const std::string* text = error->FindString("message")) out.message = CleanText(*text, 300);
  if (const JsonValue* details = error->Find("details");
      details != nullptr && details->as_object() != nullptr) {
    out.details = *details;
  }
  return out;
}

std::string Describe(const HttpResponse& response, const CoordinatorError& error) {
  std::string out = Cat("HTTP ", response.status);
  if (!error.code.empty()) out += Cat(" ", error.code);
  if (!error.message.empty()) out += Cat(": ", error.message);
  return out;
}

std::optional<int64_t> ClockSkew(const CoordinatorError& error, int64_t now_unix) {
  if (error.code != "signature_expired") return std::nullopt;
  const JsonValue* member = error.details.Find("server_time");
  if (member == nullptr) return std::nullopt;
  const std::optional<int64_t> server = member->AsInt64();
  // Within the years 1970 to 9999, so that the difference cannot overflow.
  if (!server.has_value() || *server < 0 || *server > 253402300799) return std::nullopt;
  return *server - now_unix;
}

std::string CleanText(std::string_view untrusted_text, size_t max_octets) {
  std::string out = CleanReason(untrusted_text);
  if (out.size() <= max_octets) return out;
  size_t end = max_octets;
  while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xc0) == 0x80) --end;
  out.resize(end);
  return out;
}

std::string TimeMember(const JsonValue& object, std::string_view name) {
  const std::string* text = object.FindString(name);
  if (text == nullptr || text->size() > 64 || !ParseIsoTime(*text).has_value()) return "";
  return *text;
}

std::optional<uint32_t> TierMember(const JsonValue& object) {
  const JsonValue* member = object.Find("trust_tier");
  const std::optional<int64_t> tier = member == nullptr ? std::nullopt : member->AsInt64();
  if (!tier.has_value() || *tier < 0 || *tier > 3) return std::nullopt;
  return static_cast<uint32_t>(*tier);
}

}  // namespace auspex
