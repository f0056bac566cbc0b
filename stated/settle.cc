// SPDX-License-Identifier: AGPL-3.0-only
// OutboxQueue::Settle: one function for each outcome, each one transaction.
#include <algorithm>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/ids/ids.h"
#include "common/log/log.h"
#include "common/wire/refusal.h"
#include "stated/identity.h"
#include "stated/outbox.h"
#include "stated/receipt_check.h"
#include "stated/retry.h"
#include "stated/units.h"

namespace auspex::stated {
namespace {

struct ItemRow {
  int64_t id = 0;
  OutboxKind kind = OutboxKind::kResult;
  int64_t attempts = 0;
  std::string assignment_id, subject, last_error;
};

absl::StatusOr<std::optional<ItemRow>> FindItem(Connection& db, int64_t id) {
  Statement row(
      db, "SELECT kind, attempts, assignment_id, subject, last_error FROM outbox WHERE id = ?", id);
  ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return std::optional<ItemRow>();
  return std::optional<ItemRow>(ItemRow{id, static_cast<OutboxKind>(row.Int(0)), row.Int(1),
                                        row.Text(2), row.Text(3), row.Text(4)});
}

absl::Status Misfit(const ItemRow& item, std::string_view outcome) {
  return absl::InvalidArgumentError(Cat("outbox item ", item.id, " is a ",
                                        OutboxKindWord(item.kind), "; '", outcome,
                                        "' does not settle it"));
}

absl::Status Reschedule(Connection& db, const ItemRow& item, int64_t attempts, int64_t due,
                        std::string_view error) {
  return Statement(
             db, "UPDATE outbox SET attempts = ?, due = ?, tried = 1, last_error = ? WHERE id = ?",
             attempts, due, error, item.id)
      .Run();
}

absl::Status RemoveResultForGood(Connection& db, const ItemRow& item, std::string_view why,
                                 int64_t now) {
  ASSIGN_OR_RETURN(UnitRow unit, RequireUnit(db, item.assignment_id));
  RETURN_IF_ERROR(MoveUnit(db, unit, UnitEvent::kResultTerminal, why, now));
  RETURN_IF_ERROR(
      Statement(db,
                "UPDATE results SET receipt_status = 5, receipt_note = ? WHERE assignment_id = ?",
                why, item.assignment_id)
          .Run());
  RETURN_IF_ERROR(AddTo(db, Counter::kResultsTerminal, 1));
  RETURN_IF_ERROR(WriteAudit(db, "submit_failed_terminal", unit, why, now));
  return DeleteOutboxItem(db, item.id);
}

// No refusal ever follows a failed submission.
absl::Status SettleTerminal(Connection& db, const ItemRow& item, std::string_view why,
                            int64_t now) {
  switch (item.kind) {
    case OutboxKind::kResult:
      return RemoveResultForGood(db, item, why, now);
    case OutboxKind::kRefusal: {
      RETURN_IF_ERROR(Statement(db, "UPDATE units SET note = ? WHERE assignment_id = ?",
                                CleanReason(Cat("refusal not taken: ", why)), item.assignment_id)
                          .Run());
      return DeleteOutboxItem(db, item.id);
    }
    case OutboxKind::kReceipt: {
      ASSIGN_OR_RETURN(const bool changed,
                       MarkReceipt(db, item.assignment_id, ReceiptStatus::kBad, why));
      (void)changed;
      return DeleteOutboxItem(db, item.id);
    }
    case OutboxKind::kPackage:
      return DeleteOutboxItem(db, item.id);
  }
  return absl::InternalError("an outbox item of no kind");
}

absl::Status SettleTransient(Connection& db, const ItemRow& item, std::string_view why,
                             int64_t retry_after_seconds, int64_t now) {
  const int64_t attempts = item.attempts + 1;
  if (item.kind == OutboxKind::kPackage) return DeleteOutboxItem(db, item.id);
  if (item.kind != OutboxKind::kReceipt && attempts >= kMaxAttempts) {
    return SettleTerminal(db, item, CleanReason(Cat(attempts, " attempts failed; the last: ", why)),
                          now);
  }
  if (item.kind == OutboxKind::kResult && item.attempts == 0) {
    ASSIGN_OR_RETURN(const UnitRow unit, RequireUnit(db, item.assignment_id));
    RETURN_IF_ERROR(WriteAudit(db, "submit_failed_transient", unit, why, now));
  }
  const int64_t delay = RetryDelayMicros(attempts, retry_after_seconds, RandomUniform());
  return Reschedule(db, item, attempts, now + delay, why);
}

absl::Status SettleAccepted(Connection& db, const ItemRow& item, const ResultId& result_id,
                            const ResultAccepted& outcome, int64_t now) {
  ASSIGN_OR_RETURN(UnitRow unit, RequireUnit(db, item.assignment_id));
  RETURN_IF_ERROR(MoveUnit(db, unit, UnitEvent::kResultAccepted, "", now));
  std::string status_after = CleanReason(outcome.untrusted_unit_status_after);
  if (status_after.size() > 64) status_after.clear();
  RETURN_IF_ERROR(
      Statement(db,
                "UPDATE results SET result_id = ?, submitted_at = ?, unit_status_after = ?,"
                " completions_so_far = ?, replication_target = ?, receipt_status = 1"
                " WHERE assignment_id = ?",
                result_id.str(), now, status_after, outcome.completions_so_far,
                outcome.replication_target, item.assignment_id)
          .Run());
  RETURN_IF_ERROR(AddTo(db, Counter::kResultsSubmitted, 1));
  RETURN_IF_ERROR(AddTo(db, Counter::kReceiptsPlaceholder, 1));
  RETURN_IF_ERROR(
      Statement(db, "INSERT OR IGNORE INTO submitted_experiments (experiment_id) VALUES (?)",
                unit.experiment_id)
          .Run());
  if (db.RowsChanged() > 0) RETURN_IF_ERROR(AddTo(db, Counter::kExperiments, 1));
  RETURN_IF_ERROR(WriteAudit(
      db, "submitted", unit,
      outcome.already ? Cat(result_id.str(), " (was there already)") : result_id.str(), now));
  RETURN_IF_ERROR(EnqueueReceipt(db, unit, result_id.str(), now));
  // The body, with any raw text in it, goes with its row.
  return DeleteOutboxItem(db, item.id);
}

absl::Status SettleReceipt(Connection& db, const ItemRow& item, std::string_view cose,
                           const Settings& settings, int64_t now) {
  ASSIGN_OR_RETURN(const ReceiptVerdict verdict,
                   JudgeReceipt(db, item.assignment_id, cose, settings, now));
  if (verdict.good) {
    RETURN_IF_ERROR(StoreReceipt(db, item.assignment_id, cose, verdict, now));
    return DeleteOutboxItem(db, item.id);
  }
  ASSIGN_OR_RETURN(const bool changed,
                   MarkReceipt(db, item.assignment_id, ReceiptStatus::kBad, verdict.why));
  const int64_t attempts = item.attempts + 1;
  LogWarning("receipt_bad", {{"assignment", item.assignment_id}, {"reason", verdict.why}});
  // The coordinator may mend what it serves, so a bad one is asked for some more times; never for a
  // result that has a good one.
  if (!changed || attempts >= kMaxBadReceipts) return DeleteOutboxItem(db, item.id);
  return Reschedule(db, item, attempts, now + RetryDelayMicros(attempts, 0, RandomUniform()),
                    verdict.why);
}

}  // namespace

// Applies an outcome to an item inside the transaction; what has to be said afterwards is left in
// the members.
struct Settlement {
  Context& context;
  Connection& db;
  const ItemRow& item;
  const int64_t now;
  std::string& package_failure;

  absl::Status operator()(const ResultAccepted& outcome) const {
    if (item.kind != OutboxKind::kResult) return Misfit(item, "result accepted");
    ASSIGN_OR_RETURN(const ResultId result_id, ResultId::Parse(outcome.untrusted_result_id));
    return SettleAccepted(db, item, result_id, outcome, now);
  }
  absl::Status operator()(const RefusalDone&) const {
    if (item.kind != OutboxKind::kRefusal) return Misfit(item, "refusal done");
    return DeleteOutboxItem(db, item.id);
  }
  absl::Status operator()(const ReceiptArrived& outcome) const {
    if (item.kind != OutboxKind::kReceipt) return Misfit(item, "receipt");
    return SettleReceipt(db, item, outcome.untrusted_cose, context.settings, now);
  }
  absl::Status operator()(const ReceiptNever& outcome) const {
    if (item.kind != OutboxKind::kReceipt) return Misfit(item, "receipt never");
    RETURN_IF_ERROR(MarkReceipt(db, item.assignment_id, ReceiptStatus::kNone,
                                CleanReason(outcome.untrusted_reason))
                        .status());
    return DeleteOutboxItem(db, item.id);
  }
  absl::Status operator()(const Terminal& outcome) const {
    const std::string why = CleanReason(Cat(outcome.untrusted_code, ": ", outcome.untrusted_text));
    if (item.kind == OutboxKind::kPackage) package_failure = why;
    return SettleTerminal(db, item, why, now);
  }
  absl::Status operator()(const Transient& outcome) const {
    const std::string why = CleanReason(outcome.untrusted_text);
    if (item.kind == OutboxKind::kPackage) package_failure = why.empty() ? "the fetch failed" : why;
    return SettleTransient(db, item, why, outcome.retry_after_seconds, now);
  }
  absl::Status operator()(const Held& outcome) const {
    const std::string why = CleanReason(outcome.untrusted_text);
    if (item.kind == OutboxKind::kPackage) {
      package_failure = why.empty() ? "the coordinator holds this worker" : why;
      return DeleteOutboxItem(db, item.id);
    }
    const int64_t delay = std::max<int64_t>(context.settings.poll_interval_micros, 1'000'000);
    return Reschedule(db, item, item.attempts, now + delay, why);
  }
};

absl::Status OutboxQueue::Settle(int64_t id, const Outcome& outcome) {
  std::optional<ItemRow> item;
  std::string package_failure;
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) -> absl::Status {
    package_failure.clear();
    ASSIGN_OR_RETURN(item, FindItem(db, id));
    if (!item.has_value()) return absl::OkStatus();
    return std::visit(Settlement{context_, db, *item, context_.clock.NowMicros(), package_failure},
                      outcome);
  }));
  if (item.has_value()) {
    LogInfo("settled", {{"item", id},
                        {"kind", OutboxKindWord(item->kind)},
                        {"outcome", outcome.index()},
                        {"assignment", item->assignment_id}});
    if (!package_failure.empty()) package_failed_(item->subject, package_failure);
  }
  Release(id);
  return absl::OkStatus();
}

}  // namespace auspex::stated
