// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/offer.h"

#include <optional>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "common/log/log.h"
#include "common/wire/refusal.h"
#include "stated/contact.h"
#include "stated/identity.h"
#include "stated/outbox_rows.h"
#include "stated/units.h"

namespace auspex::stated {
namespace {

constexpr std::string_view kFlagsName = "\"sensitive_content_flags\"";
constexpr size_t kLongestTime = 64;
constexpr size_t kLongestSchemaVersion = 16;

// Canonical text spells the name in exactly one way, so most payloads need not be read at all.
absl::StatusOr<bool> HasSensitiveFlags(std::string_view canonical_payload) {
  if (canonical_payload.find(kFlagsName) == std::string_view::npos) return false;
  ASSIGN_OR_RETURN(const JsonValue payload, ReadJson(canonical_payload));
  const JsonValue* flags = payload.Find("sensitive_content_flags");
  const JsonArray* list = flags == nullptr ? nullptr : flags->as_array();
  if (list == nullptr) return false;
  for (const JsonValue& flag : *list) {
    if (flag.as_string() != nullptr) return true;
  }
  return false;
}

struct Refusal {
  RefusalKind kind;
  std::string reason;
};

// What is decided but not yet told takes disk, so it has a bound: a coordinator that hands out work
// and takes no results gets no further work done.
absl::Status CheckBacklog(Connection& db) {
  Statement row(db,
                "SELECT COUNT(*), COALESCE(SUM(LENGTH(body)), 0) FROM outbox WHERE kind IN (1, 2)");
  RETURN_IF_ERROR(row.Step().status());
  if (row.Int(0) < kMaxUnsent && row.Int(1) < kMaxUnsentOctets) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      Cat(row.Int(0), " results and refusals wait to be sent; no more work until they are"));
}

// Gate 1. A first sight is stored before the other gates and stays even if they refuse.
absl::StatusOr<std::optional<Refusal>> PinGate(Connection& db, const ParsedOffer& offer,
                                               int64_t now) {
  {
    Statement pin(db, "SELECT manifest_sha256 FROM manifest_pins WHERE experiment_id = ?",
                  offer.experiment_id.str());
    ASSIGN_OR_RETURN(const bool found, pin.Step());
    if (found) {
      const std::string pinned = pin.Text(0);
      if (pinned == offer.manifest_sha256.str()) return std::nullopt;
      return Refusal{RefusalKind::kManifestSwap,
                     Cat("experiment ", offer.experiment_id.str(), " is pinned to manifest ",
                         pinned, ", the offer names ", offer.manifest_sha256.str())};
    }
  }
  RETURN_IF_ERROR(Statement(db,
                            "INSERT INTO manifest_pins (experiment_id, manifest_sha256, tenant_id,"
                            " experiment_label, pinned_at) VALUES (?, ?, ?, ?, ?)",
                            offer.experiment_id.str(), offer.manifest_sha256.str(),
                            offer.tenant_id.str(), offer.experiment_label.str(), now)
                      .Run());
  return std::nullopt;
}

// Gate 2. Deny wins over allow.
absl::StatusOr<std::optional<Refusal>> TenantGate(Connection& db, const ParsedOffer& offer) {
  Statement lists(db,
                  "SELECT EXISTS (SELECT 1 FROM tenants WHERE tenant_id = ?1 AND list = 'deny'),"
                  " EXISTS (SELECT 1 FROM tenants WHERE list = 'allow'),"
                  " EXISTS (SELECT 1 FROM tenants WHERE tenant_id = ?1 AND list = 'allow')",
                  offer.tenant_id.str());
  RETURN_IF_ERROR(lists.Step().status());
  const bool denied = lists.Int(0) != 0;
  const bool has_allow_list = lists.Int(1) != 0;
  const bool allowed = lists.Int(2) != 0;
  if (denied) {
    return Refusal{RefusalKind::kTenantDeny,
                   Cat("tenant ", offer.tenant_id.str(), " is on the owner's deny list")};
  }
  if (has_allow_list && !allowed) {
    return Refusal{RefusalKind::kTenantAllowMiss,
                   Cat("tenant ", offer.tenant_id.str(), " is not on the owner's allow list")};
  }
  return std::nullopt;
}

// Gate 3.
absl::StatusOr<std::optional<Refusal>> SensitiveGate(Connection& db, const ParsedOffer& offer) {
  if (!offer.sensitive) return std::nullopt;
  Statement accepted(db, "SELECT 1 FROM accepted_experiments WHERE experiment_id = ?",
                     offer.experiment_id.str());
  ASSIGN_OR_RETURN(const bool found, accepted.Step());
  if (found) return std::nullopt;
  return Refusal{RefusalKind::kSensitive,
                 Cat("experiment ", offer.experiment_id.str(),
                     " is flagged as sensitive and the owner has not accepted it")};
}

absl::StatusOr<std::optional<Refusal>> RunGates(Connection& db, const ParsedOffer& offer,
                                                const std::optional<UnitRow>& before, int64_t now) {
  if (before.has_value() && before->owner_refused) {
    // The coordinator may not have heard it yet; the owner's word stands.
    return Refusal{RefusalKind::kExecutorRefused, before->note};
  }
  ASSIGN_OR_RETURN(std::optional<Refusal> refusal, PinGate(db, offer, now));
  if (!refusal.has_value()) {
    ASSIGN_OR_RETURN(refusal, TenantGate(db, offer));
  }
  if (!refusal.has_value()) {
    ASSIGN_OR_RETURN(refusal, SensitiveGate(db, offer));
  }
  return refusal;
}

absl::Status StoreUnit(Connection& db, UnitRow& unit, const ParsedOffer& offer, bool accepted,
                       int64_t now) {
  unit.assignment_id = offer.assignment_id.str();
  unit.unit_id = offer.unit_id.str();
  unit.tenant_id = offer.tenant_id.str();
  unit.experiment_id = offer.experiment_id.str();
  unit.experiment_label = offer.experiment_label.str();
  unit.manifest_sha256 = offer.manifest_sha256.str();
  unit.created_at = offer.created_at;
  unit.offered_at = now;
  const std::optional<Blob> payload =
      accepted ? std::optional<Blob>(Blob{offer.canonical_payload}) : std::nullopt;
  RETURN_IF_ERROR(
      Statement(db,
                "INSERT INTO units (assignment_id, unit_id, tenant_id, experiment_id,"
                " experiment_label, manifest_sha256, created_at, state, offered_at, state_at, note,"
                " payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10, ?11)"
                " ON CONFLICT (assignment_id) DO UPDATE SET unit_id = ?2, tenant_id = ?3,"
                " experiment_id = ?4, experiment_label = ?5, manifest_sha256 = ?6, created_at = ?7,"
                " state = ?8, offered_at = ?9, state_at = ?9, note = ?10, payload = ?11",
                unit.assignment_id, unit.unit_id, unit.tenant_id, unit.experiment_id,
                unit.experiment_label, unit.manifest_sha256, unit.created_at,
                static_cast<int>(unit.state), now, unit.note, payload)
          .Run());
  // A refusal of an earlier round that was never sent would hit the new one.
  if (!accepted) return absl::OkStatus();
  return Statement(db, "DELETE FROM outbox WHERE assignment_id = ? AND kind = 2",
                   unit.assignment_id)
      .Run();
}

absl::StatusOr<OfferDecision> Decide(Connection& db, const ParsedOffer& offer, int64_t now) {
  RETURN_IF_ERROR(RequireIdentity(db).status());
  RETURN_IF_ERROR(ClearPollState(db));
  ASSIGN_OR_RETURN(const std::optional<UnitRow> before, FindUnit(db, offer.assignment_id.str()));
  if (before.has_value() && before->state != UnitState::kRefused) return OfferDecision{"known", ""};
  ASSIGN_OR_RETURN(const int64_t in_hand,
                   SingleNumber(db, "SELECT COUNT(*) FROM units WHERE state IN (1, 2)"));
  if (in_hand >= kMaxInHand) {
    return absl::ResourceExhaustedError(Cat(in_hand, " units are in hand already"));
  }
  RETURN_IF_ERROR(CheckBacklog(db));
  ASSIGN_OR_RETURN(const std::optional<Refusal> refusal, RunGates(db, offer, before, now));
  UnitRow unit;
  if (before.has_value()) unit = *before;
  const UnitEvent event =
      refusal.has_value() ? UnitEvent::kOfferRefused : UnitEvent::kOfferAccepted;
  const std::optional<UnitState> next = NextState(unit.state, event);
  if (!next.has_value()) return absl::InternalError("an offer met a state that it cannot leave");
  unit.state = *next;
  unit.note = refusal.has_value() ? refusal->reason : "";
  RETURN_IF_ERROR(StoreUnit(db, unit, offer, !refusal.has_value(), now));
  const std::string word(refusal.has_value() ? RefusalWord(refusal->kind) : "accepted");
  RETURN_IF_ERROR(WriteAudit(db, word, unit, unit.note, now));
  if (refusal.has_value()) {
    RETURN_IF_ERROR(EnqueueRefusal(db, unit, refusal->kind, refusal->reason, now));
  }
  return OfferDecision{word, unit.note};
}

}  // namespace

absl::StatusOr<ParsedOffer> ParseOffer(const UntrustedOffer& untrusted) {
  ASSIGN_OR_RETURN(AssignmentId assignment, AssignmentId::Parse(untrusted.assignment_id));
  ASSIGN_OR_RETURN(ExperimentId experiment, ExperimentId::Parse(untrusted.experiment_id));
  ASSIGN_OR_RETURN(UnitId unit, UnitId::Parse(untrusted.unit_id));
  ASSIGN_OR_RETURN(TenantId tenant, TenantId::Parse(untrusted.tenant_id));
  ASSIGN_OR_RETURN(ExperimentLabel label, ExperimentLabel::Parse(untrusted.experiment_label));
  ASSIGN_OR_RETURN(Sha256Hex manifest, Sha256Hex::Parse(untrusted.manifest_sha256));
  std::optional<std::string> created_at;
  if (untrusted.created_at.size() <= kLongestTime)
    created_at = NormalizeCompletedAt(untrusted.created_at);
  if (!created_at.has_value()) {
    return absl::InvalidArgumentError(
        Cat("created_at: not an ISO 8601 time: '", Printable(untrusted.created_at), "'"));
  }
  if (untrusted.envelope_schema_version.size() > kLongestSchemaVersion) {
    return absl::InvalidArgumentError("envelope_schema_version: longer than 16 octets");
  }
  JsonLimits limits;
  limits.max_octets = kMaxPayloadOctets;
  if (absl::Status checked = CheckCanonicalObject(untrusted.canonical_payload, limits);
      !checked.ok()) {
    return absl::InvalidArgumentError(Cat("payload: ", std::string(checked.message())));
  }
  ASSIGN_OR_RETURN(const bool sensitive, HasSensitiveFlags(untrusted.canonical_payload));
  return ParsedOffer{std::move(assignment),
                     std::move(experiment),
                     std::move(unit),
                     std::move(tenant),
                     std::move(label),
                     std::move(manifest),
                     *std::move(created_at),
                     untrusted.canonical_payload,
                     sensitive};
}

absl::StatusOr<OfferDecision> Intake::Offer(const UntrustedOffer& untrusted) {
  ASSIGN_OR_RETURN(const ParsedOffer offer, ParseOffer(untrusted));
  OfferDecision decision;
  const absl::Status decided = context_.db.Write([&](Connection& db) -> absl::Status {
    ASSIGN_OR_RETURN(decision, Decide(db, offer, context_.clock.NowMicros()));
    return absl::OkStatus();
  });
  if (absl::IsResourceExhausted(decided)) {
    // The coordinator offered work all the same: whatever hold there was is over, and what waits
    // for its end has to go out for there to be room again.
    RETURN_IF_ERROR(context_.db.Write([](Connection& db) { return ClearPollState(db); }));
    context_.changes.Notify({Topic::kOutbox, Topic::kDemand, Topic::kStatus});
  }
  RETURN_IF_ERROR(decided);
  LogInfo("offer", {{"decision", decision.decision},
                    {"unit", offer.unit_id.str()},
                    {"assignment", offer.assignment_id.str()},
                    {"tenant", offer.tenant_id.str()},
                    {"reason", decision.reason}});
  // Also for a known assignment: a hold may have been cleared.
  context_.changes.Notify({Topic::kWork, Topic::kDemand, Topic::kOutbox, Topic::kStatus});
  return decision;
}

}  // namespace auspex::stated
