// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/executor_output.h"

#include <optional>
#include <string>
#include <utility>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "common/json/utf8.h"

namespace auspex::runnerd {
namespace {

absl::Status Bad(std::string_view member, std::string_view why) {
  return absl::InvalidArgumentError(Cat("executor output: ", member, " ", why));
}

absl::StatusOr<std::string> CompletedAt(const JsonValue& output, int64_t now_micros) {
  const JsonValue* member = output.Find("completed_at");
  if (member == nullptr) return FormatWireTime(now_micros);
  const std::string* text = member->as_string();
  std::optional<std::string> normal = text == nullptr ? std::nullopt : NormalizeCompletedAt(*text);
  if (!normal) return Bad("completed_at", "is no ISO 8601 timestamp");
  return *normal;
}

absl::StatusOr<int32_t> ExitCode(const JsonValue& output) {
  const JsonValue* member = output.Find("exit_code");
  if (member == nullptr) return 0;
  const std::optional<int64_t> value = member->AsInt64();
  if (member->as_integer() == nullptr || !value || *value < -255 || *value > 255) {
    return Bad("exit_code", "is no integer of -255..255");
  }
  return static_cast<int32_t>(*value);
}

// Takes raw_response out of `payload` (4.3).
absl::StatusOr<std::optional<std::string>> TakeRawText(JsonObject& payload) {
  auto at = payload.find("raw_response");
  if (at == payload.end()) return std::nullopt;
  std::optional<std::string> raw;
  if (const std::string* text = at->second.as_string()) {
    if (!IsUtf8(*text))
      return Bad("payload.raw_response", "has an unpaired surrogate and so no UTF-8 form");
    // Nothing to send and nothing to sign.
    if (!text->empty()) raw = *text;
  }
  payload.erase(at);
  return raw;
}

}  // namespace

absl::StatusOr<UnitResult> ParseExecutorOutput(std::string_view untrusted_text,
                                               const UnitId& unit_id, bool capture_raw,
                                               int64_t now_micros) {
  if (untrusted_text.starts_with("\xef\xbb\xbf")) return Bad("begins with", "a byte order mark");
  JsonLimits limits;
  limits.allow_non_finite = false;
  limits.allow_duplicate_names = false;  // two readers could take two values
  absl::StatusOr<JsonValue> output = ReadJson(untrusted_text, limits);
  if (!output.ok()) return Bad("is not usable:", std::string(output.status().message()));
  if (output->as_object() == nullptr) return Bad("is", "no JSON object");
  if (const JsonValue* id = output->Find("unit_id"); id != nullptr) {
    if (id->as_string() == nullptr || *id->as_string() != unit_id.str())
      return Bad("unit_id", "is not the unit's");
  }
  UnitResult result;
  ASSIGN_OR_RETURN(result.completed_at, CompletedAt(*output, now_micros));
  ASSIGN_OR_RETURN(result.exit_code, ExitCode(*output));
  if (output->Find("payload") == nullptr) return Bad("payload", "is missing");
  JsonValue payload = std::move((*output)["payload"]);
  if (payload.as_object() == nullptr) return Bad("payload", "is no object");
  if (capture_raw) {
    ASSIGN_OR_RETURN(result.raw_response, TakeRawText(*payload.as_object()));
  }
  result.canonical_payload = WriteCanonical(payload);
  if (result.canonical_payload.size() > kMaxCanonicalPayload) {
    return Bad("payload",
               Cat("is larger than ", kMaxCanonicalPayload, " octets in canonical form"));
  }
  // In a submission the text is escaped to ASCII, which may make it three times as long.
  if (result.raw_response &&
      result.canonical_payload.size() + CanonicalString(*result.raw_response).size() >
          kMaxPayloadAndRawText) {
    return Bad("payload.raw_response", Cat("is larger, with the rest, than ", kMaxPayloadAndRawText,
                                           " octets in a submission"));
  }
  return result;
}

}  // namespace auspex::runnerd
