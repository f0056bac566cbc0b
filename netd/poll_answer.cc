// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/poll_answer.h"

#include <string>
#include <utility>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/ids/ids.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "netd/answer.h"

namespace auspex {
namespace {

constexpr size_t kMaxHoldReason = 2000;
// A value costs about 120 octets of memory: this keeps a hostile answer below some 25 MB while it
// is read.
constexpr JsonLimits kPollLimits = {
    .max_octets = kMaxPollAnswer, .max_depth = 128, .max_values = 200'000};

// A member that is a string, or null/absent (nullptr). Any other kind is an error.
absl::StatusOr<const std::string*> OptionalString(const JsonValue& object, std::string_view name) {
  const JsonValue* member = object.Find(name);
  if (member == nullptr || member->is_null()) return nullptr;
  if (member->as_string() == nullptr)
    return absl::InvalidArgumentError(Cat(name, " is not a string"));
  return member->as_string();
}

template <typename Id>
absl::StatusOr<Id> Member(const JsonValue& object, std::string_view name) {
  const std::string* text = object.FindString(name);
  if (text == nullptr)
    return absl::InvalidArgumentError(Cat("work_unit.", name, " is missing or not a string"));
  return Id::Parse(*text);
}

absl::StatusOr<stated::v1::OfferRequest> ReadUnit(const JsonValue& unit,
                                                  const std::string* assignment_id,
                                                  const std::string& experiment_id) {
  if (unit.as_object() == nullptr) return absl::InvalidArgumentError("work_unit is not an object");
  if (assignment_id == nullptr)
    return absl::InvalidArgumentError("a work_unit without assignment_id");
  ASSIGN_OR_RETURN(const AssignmentId assignment, AssignmentId::Parse(*assignment_id));
  ASSIGN_OR_RETURN(const ExperimentId experiment, ExperimentId::Parse(experiment_id));
  ASSIGN_OR_RETURN(const UnitId unit_id, Member<UnitId>(unit, "unit_id"));
  ASSIGN_OR_RETURN(const TenantId tenant, Member<TenantId>(unit, "tenant_id"));
  ASSIGN_OR_RETURN(const ExperimentLabel label, Member<ExperimentLabel>(unit, "experiment_id"));
  ASSIGN_OR_RETURN(const Sha256Hex manifest, Member<Sha256Hex>(unit, "manifest_sha256"));
  const std::string created_at = TimeMember(unit, "created_at");
  if (created_at.empty())
    return absl::InvalidArgumentError("work_unit.created_at is missing or no timestamp");
  ASSIGN_OR_RETURN(const std::string* version, OptionalString(unit, "schema_version"));
  if (version != nullptr && version->size() > 16)
    return absl::InvalidArgumentError("work_unit.schema_version is too long");

  const JsonValue* payload = unit.Find("payload");
  std::string canonical = "{}";
  if (payload != nullptr && !payload->is_null()) {
    if (payload->as_object() == nullptr)
      return absl::InvalidArgumentError("work_unit.payload is not an object");
    canonical = WriteCanonical(*payload);
  }
  if (canonical.size() > kMaxCanonicalPayload) {
    return absl::ResourceExhaustedError(
        Cat("work_unit.payload is larger than ", kMaxCanonicalPayload, " octets"));
  }
  stated::v1::OfferRequest offer;
  offer.set_assignment_id(assignment.str());
  offer.set_experiment_id(experiment.str());
  offer.set_unit_id(unit_id.str());
  offer.set_tenant_id(tenant.str());
  offer.set_experiment_label(label.str());
  offer.set_manifest_sha256(manifest.str());
  offer.set_created_at(created_at);
  offer.set_canonical_payload(std::move(canonical));
  offer.set_envelope_schema_version(version != nullptr ? CleanText(*version, 16) : "0.1");
  return offer;
}

// 423: the status alone decides that it is a hold; what the body says about it is taken as far as
// it can be read.
stated::v1::RecordPollRequest ReadHold(const HttpResponse& response) {
  const CoordinatorError error = ReadError(response);
  const bool pause = error.code == "worker_paused";
  stated::v1::RecordPollRequest out;
  auto* hold = out.mutable_hold();
  hold->set_kind(pause ? "pause" : "quarantine");
  const std::string* reason =
      error.details.FindString(pause ? "pause_reason" : "quarantine_reason");
  hold->set_reason(reason != nullptr ? CleanText(*reason, kMaxHoldReason) : error.message);
  hold->set_at(TimeMember(error.details, pause ? "paused_at" : "quarantined_at"));
  return out;
}

}  // namespace

absl::StatusOr<PollAnswer> ReadPollAnswer(const HttpResponse& response) {
  if (response.status == 423) return ReadHold(response);
  if (response.status != 200) return absl::AbortedError(Describe(response, ReadError(response)));
  absl::StatusOr<JsonValue> read = ReadJson(response.body, kPollLimits);
  if (!read.ok()) {
    return absl::Status(read.status().code(), Cat("HTTP 200 with an unreadable body: ",
                                                  std::string(read.status().message())));
  }
  const JsonValue& answer = *read;
  if (answer.as_object() == nullptr)
    return absl::InvalidArgumentError("HTTP 200 whose body is not an object");
  ASSIGN_OR_RETURN(const std::string* assignment_id, OptionalString(answer, "assignment_id"));
  ASSIGN_OR_RETURN(const std::string* experiment_id, OptionalString(answer, "experiment_id"));
  ASSIGN_OR_RETURN(const std::string* assigned_at, OptionalString(answer, "assigned_at"));
  if (assigned_at != nullptr && !ParseIsoTime(*assigned_at).has_value()) {
    return absl::InvalidArgumentError("assigned_at is no timestamp");
  }
  const JsonValue* idle = answer.Find("idle_reason");
  if (idle != nullptr && !idle->is_null() && idle->as_object() == nullptr) {
    return absl::InvalidArgumentError("idle_reason is not an object");
  }
  const JsonValue* unit = answer.Find("work_unit");
  if (unit == nullptr || unit->is_null() || experiment_id == nullptr) {
    stated::v1::RecordPollRequest out;
    out.mutable_no_work();
    if (idle != nullptr) {
      if (const std::string* code = idle->FindString("code"))
        out.mutable_no_work()->set_idle_code(CleanText(*code, 64));
    }
    return out;
  }
  return ReadUnit(*unit, assignment_id, *experiment_id);
}

bool WaitWasApplied(const HttpResponse& response) {
  const std::string_view applied = response.Header("preference-applied");
  return applied.substr(0, 4) == "wait";
}

}  // namespace auspex
