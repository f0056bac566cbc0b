// SPDX-License-Identifier: AGPL-3.0-only
// What every answer of the coordinator has in common: a JSON object with 200 or 201, and the five
// shapes of an error (wire protocol 1.3). Pure functions over untrusted text; safe from any thread.
#ifndef AUSPEX_NETD_ANSWER_H_
#define AUSPEX_NETD_ANSWER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/http/http_message.h"
#include "common/json/value.h"

namespace auspex {

// Largest body of an answer that carries neither a payload nor a package, in octets.
inline constexpr uint64_t kMaxSmallAnswer = 256 * 1024;

// The body as a JSON object, small limits. INVALID_ARGUMENT when it is anything else.
absl::StatusOr<JsonValue> ReadAnswerObject(const HttpResponse& response);

// A refusal of the coordinator, whatever its shape.
struct CoordinatorError {
  std::string code;     // one word of a-z, 0-9 and '_', at most 64; empty when there is none
  std::string message;  // printable, at most 300 characters; may be empty
  JsonValue details;    // an object, or null
};
CoordinatorError ReadError(const HttpResponse& response);

// "HTTP 401 signature_expired: text": for logs, status and the owner.
std::string Describe(const HttpResponse& response, const CoordinatorError& error);

// Coordinator's clock minus ours in seconds when `error` is signature_expired with a plausible
// server_time.
std::optional<int64_t> ClockSkew(const CoordinatorError& error, int64_t now_unix);

// `untrusted_text` as valid UTF-8 without control characters, cut to `max_octets` at a character's
// border.
std::string CleanText(std::string_view untrusted_text, size_t max_octets);

// A string member that is an ISO 8601 timestamp of at most 64 characters; empty when it is not.
std::string TimeMember(const JsonValue& object, std::string_view name);

// An integer member in 0..3.
std::optional<uint32_t> TierMember(const JsonValue& object);

}  // namespace auspex

#endif  // AUSPEX_NETD_ANSWER_H_
