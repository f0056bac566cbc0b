// SPDX-License-Identifier: AGPL-3.0-only
#include "examples/executor/input.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/json/reader.h"

namespace auspex {
namespace {

constexpr std::string_view kSchemaVersion = "0.1";
constexpr std::array<std::string_view, 7> kMembers = {
    "schema_version",  "unit_id",    "tenant_id", "experiment_id",
    "manifest_sha256", "created_at", "payload"};

absl::StatusOr<std::string> TextMember(const JsonValue& input, std::string_view name) {
  const std::string* text = input.FindString(name);
  if (text == nullptr) {
    return absl::InvalidArgumentError(Cat("input: member '", name, "' is not a string"));
  }
  return *text;
}

template <typename Id>
absl::StatusOr<Id> IdMember(const JsonValue& input, std::string_view name) {
  ASSIGN_OR_RETURN(std::string text, TextMember(input, name));
  absl::StatusOr<Id> id = Id::Parse(text);
  if (!id.ok()) {
    return absl::InvalidArgumentError(
        Cat("input: member '", name, "': ", std::string(id.status().message())));
  }
  return id;
}

}  // namespace

absl::StatusOr<ExecutorInput> ParseExecutorInput(std::string_view untrusted_text) {
  const JsonLimits limits{.max_octets = kMaxInputOctets,
                          .max_depth = 32,
                          .max_values = 100'000,
                          .allow_non_finite = false,
                          .allow_duplicate_names = false};
  ASSIGN_OR_RETURN(JsonValue input, ReadJson(untrusted_text, limits));
  JsonObject* members = input.as_object();
  if (members == nullptr) return absl::InvalidArgumentError("input: not a JSON object");
  for (std::string_view name : kMembers) {
    if (!members->contains(name)) {
      return absl::InvalidArgumentError(Cat("input: member '", name, "' is missing"));
    }
  }
  for (const auto& [name, value] : *members) {
    if (std::find(kMembers.begin(), kMembers.end(), name) == kMembers.end()) {
      return absl::InvalidArgumentError(Cat("input: unknown member '", Printable(name), "'"));
    }
  }
  ASSIGN_OR_RETURN(std::string version, TextMember(input, "schema_version"));
  if (version != kSchemaVersion) {
    return absl::InvalidArgumentError(
        Cat("input: member 'schema_version' is '", Printable(version), "', not '0.1'"));
  }
  ASSIGN_OR_RETURN(UnitId unit_id, IdMember<UnitId>(input, "unit_id"));
  ASSIGN_OR_RETURN(TenantId tenant_id, IdMember<TenantId>(input, "tenant_id"));
  ASSIGN_OR_RETURN(ExperimentLabel experiment_id,
                   IdMember<ExperimentLabel>(input, "experiment_id"));
  ASSIGN_OR_RETURN(Sha256Hex manifest_sha256, IdMember<Sha256Hex>(input, "manifest_sha256"));
  ASSIGN_OR_RETURN(std::string created_at, TextMember(input, "created_at"));
  if (!ParseIsoTime(created_at)) {
    return absl::InvalidArgumentError("input: member 'created_at' is not a timestamp");
  }
  JsonObject* payload = members->find("payload")->second.as_object();
  if (payload == nullptr) {
    return absl::InvalidArgumentError("input: member 'payload' is not an object");
  }
  return ExecutorInput{.unit_id = std::move(unit_id),
                       .tenant_id = std::move(tenant_id),
                       .experiment_id = std::move(experiment_id),
                       .manifest_sha256 = std::move(manifest_sha256),
                       .created_at = std::move(created_at),
                       .payload = std::move(*payload)};
}

}  // namespace auspex
