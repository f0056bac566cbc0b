// SPDX-License-Identifier: AGPL-3.0-only
// WorkQueue's reports: begin, complete, refuse, and the owner's refusal.
#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/ids/ids.h"
#include "common/log/log.h"
#include "common/wire/refusal.h"
#include "stated/condition.h"
#include "stated/identity.h"
#include "stated/outbox_rows.h"
#include "stated/work_queue.h"

namespace auspex::stated {
namespace {

absl::Status StoreResult(Connection& db, const UnitRow& unit, const CheckedCompletion& result,
                         int64_t now) {
  return Statement(db,
                   "INSERT INTO results (assignment_id, unit_id, tenant_id, experiment_id,"
                   " completed_at, exit_code, ran_under, worker_pubkey, result_sha256,"
                   " result_sha256_early, stored_at, payload_octets, signature, payload)"
                   " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   unit.assignment_id, unit.unit_id, unit.tenant_id, unit.experiment_id,
                   result.completed_at, result.exit_code, result.ran_under, result.worker_pubkey,
                   result.result_sha256, result.result_sha256_early, now,
                   result.canonical_payload.size(), Blob{result.signature},
                   Blob{result.canonical_payload})
      .Run();
}

// True when the very result that is being reported is stored for this assignment.
absl::StatusOr<bool> SameResultIsStored(Connection& db, const UnitRow& unit,
                                        const CheckedCompletion& result) {
  Statement row(db, "SELECT result_sha256 FROM results WHERE assignment_id = ?",
                unit.assignment_id);
  ASSIGN_OR_RETURN(const bool found, row.Step());
  return found && row.Text(0) == result.result_sha256;
}

absl::Status StoreRefusal(Connection& db, UnitRow& unit, RefusalKind kind, std::string_view action,
                          std::string_view reason, int64_t now) {
  RETURN_IF_ERROR(MoveUnit(db, unit, UnitEvent::kRefuse, reason, now));
  RETURN_IF_ERROR(DropUnitPayload(db, unit));
  RETURN_IF_ERROR(EnqueueRefusal(db, unit, kind, reason, now));
  return WriteAudit(db, action, unit, reason, now);
}

}  // namespace

absl::Status WorkQueue::Begin(std::string_view untrusted_assignment,
                              const std::vector<std::string>& untrusted_devices) {
  ASSIGN_OR_RETURN(const AssignmentId assignment, AssignmentId::Parse(untrusted_assignment));
  RETURN_IF_ERROR(CheckDevices(untrusted_devices));
  std::string note;
  for (const std::string& device : untrusted_devices)
    note += Cat(note.empty() ? "may open " : ", ", device);
  const bool handed = IsHanded(assignment.str());
  const absl::Status status = context_.db.Write([&](Connection& db) -> absl::Status {
    const int64_t now = context_.clock.NowMicros();
    ASSIGN_OR_RETURN(UnitRow unit, RequireUnit(db, assignment.str()));
    if (!handed) {
      return absl::FailedPreconditionError(
          Cat("unit ", unit.unit_id, ": was not handed out on the present stream"));
    }
    if (unit.state == UnitState::kRunning) return absl::OkStatus();
    RETURN_IF_ERROR(MoveUnit(db, unit, UnitEvent::kBegin, "", now));
    return WriteAudit(db, "running", unit, note, now);
  });
  if (!status.ok()) {
    // It is not to run any more: the slot is free again.
    if (absl::IsNotFound(status) || absl::IsFailedPrecondition(status))
      Drop(assignment.str(), std::nullopt);
    return status;
  }
  if (!IsHanded(assignment.str())) {
    // The session ended, or the owner spoke, while this was being written. A unit that runs for
    // nobody goes back.
    RETURN_IF_ERROR(Requeue());
    context_.changes.Notify({Topic::kWork, Topic::kDemand});
  }
  context_.changes.Notify({Topic::kStatus});
  return absl::OkStatus();
}

absl::Status WorkQueue::Complete(const UntrustedCompletion& untrusted) {
  ASSIGN_OR_RETURN(const AssignmentId assignment, AssignmentId::Parse(untrusted.assignment_id));
  // Verified on the caller's thread, so that the writer's transaction stays short. Who the unit is
  // cannot change while it is in hand.
  UnitRow before;
  Identity identity;
  RETURN_IF_ERROR(context_.db.Read([&](Connection& db) -> absl::Status {
    ASSIGN_OR_RETURN(before, RequireUnit(db, assignment.str()));
    ASSIGN_OR_RETURN(identity, RequireIdentity(db));
    return absl::OkStatus();
  }));
  ASSIGN_OR_RETURN(const CheckedCompletion result,
                   CheckCompletion(untrusted, before, identity.public_key_hex));
  const absl::Status status = context_.db.Write([&](Connection& db) -> absl::Status {
    const int64_t now = context_.clock.NowMicros();
    ASSIGN_OR_RETURN(UnitRow unit, RequireUnit(db, assignment.str()));
    ASSIGN_OR_RETURN(const bool repeated, SameResultIsStored(db, unit, result));
    if (repeated) return absl::OkStatus();
    if (unit.unit_id != before.unit_id)
      return absl::FailedPreconditionError("the unit was replaced");
    RETURN_IF_ERROR(MoveUnit(db, unit, UnitEvent::kComplete, "", now));
    RETURN_IF_ERROR(DropUnitPayload(db, unit));
    RETURN_IF_ERROR(StoreResult(db, unit, result, now));
    RETURN_IF_ERROR(EnqueueResult(db, unit, result.body, now));
    return WriteAudit(db, "finished", unit, Cat("exit code ", result.exit_code), now);
  });
  if (!status.ok()) {
    if (absl::IsNotFound(status) || absl::IsFailedPrecondition(status))
      Drop(assignment.str(), std::nullopt);
    return status;
  }
  LogInfo("unit_finished", {{"unit", before.unit_id},
                            {"assignment", before.assignment_id},
                            {"exit_code", result.exit_code}});
  Drop(assignment.str(), std::nullopt);
  return absl::OkStatus();
}

absl::Status WorkQueue::Refuse(std::string_view untrusted_assignment,
                               std::string_view untrusted_kind, std::string_view untrusted_reason) {
  ASSIGN_OR_RETURN(const AssignmentId assignment, AssignmentId::Parse(untrusted_assignment));
  const std::optional<RefusalKind> kind = ParseRefusalKind(untrusted_kind);
  if (!kind.has_value()) {
    return absl::InvalidArgumentError(
        Cat("kind: '", Printable(untrusted_kind), "' is not a refusal kind"));
  }
  const std::string reason = CleanReason(untrusted_reason);
  const absl::Status status = context_.db.Write([&](Connection& db) -> absl::Status {
    ASSIGN_OR_RETURN(UnitRow unit, RequireUnit(db, assignment.str()));
    return StoreRefusal(db, unit, *kind, RefusalWord(*kind), reason, context_.clock.NowMicros());
  });
  if (!status.ok()) {
    if (absl::IsNotFound(status) || absl::IsFailedPrecondition(status))
      Drop(assignment.str(), std::nullopt);
    return status;
  }
  LogInfo("unit_refused",
          {{"assignment", assignment.str()}, {"kind", RefusalWord(*kind)}, {"reason", reason}});
  Drop(assignment.str(), std::nullopt);
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> WorkQueue::OwnerRefuse(std::string_view untrusted_unit,
                                                std::string_view untrusted_reason) {
  ASSIGN_OR_RETURN(const UnitId unit_id, UnitId::Parse(untrusted_unit));
  std::string reason = CleanReason(untrusted_reason);
  if (reason.empty()) reason = "manual refuse";
  std::vector<std::string> ended;
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) -> absl::Status {
    const int64_t now = context_.clock.NowMicros();
    ended.clear();
    Statement rows(db, "SELECT assignment_id FROM units WHERE unit_id = ? AND state IN (1, 2)",
                   unit_id.str());
    std::vector<std::string> in_hand;
    while (true) {
      ASSIGN_OR_RETURN(const bool more, rows.Step());
      if (!more) break;
      in_hand.push_back(rows.Text(0));
    }
    for (const std::string& assignment : in_hand) {
      ASSIGN_OR_RETURN(UnitRow unit, RequireUnit(db, assignment));
      RETURN_IF_ERROR(
          StoreRefusal(db, unit, RefusalKind::kExecutorRefused, "refused_manual", reason, now));
      RETURN_IF_ERROR(
          Statement(db, "UPDATE units SET owner_refused = 1 WHERE id = ?", unit.id).Run());
      ended.push_back(assignment);
    }
    if (!ended.empty()) return absl::OkStatus();
    UnitRow absent;
    absent.unit_id = unit_id.str();
    return WriteAudit(db, "refused_manual", absent, reason, now);
  }));
  for (const std::string& assignment : ended) Drop(assignment, reason);
  LogInfo("owner_refused", {{"unit", unit_id.str()}, {"ended", ended.size()}});
  context_.changes.Notify({Topic::kStatus});
  return static_cast<uint32_t>(ended.size());
}

}  // namespace auspex::stated
