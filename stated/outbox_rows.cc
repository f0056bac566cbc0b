// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/outbox_rows.h"

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/json/canonical.h"
#include "stated/retry.h"

namespace auspex::stated {
namespace {

absl::Status Insert(Connection& db, OutboxKind kind, const UnitRow& unit, std::string_view subject,
                    std::optional<Blob> body, int64_t now, int64_t due) {
  return Statement(
             db,
             "INSERT INTO outbox (kind, due, created_at, assignment_id, unit_id, subject, body)"
             " VALUES (?, ?, ?, ?, ?, ?, ?)",
             static_cast<int>(kind), due, now, unit.assignment_id, unit.unit_id, subject, body)
      .Run();
}

}  // namespace

std::string_view OutboxKindWord(OutboxKind kind) {
  switch (kind) {
    case OutboxKind::kResult:
      return "result";
    case OutboxKind::kRefusal:
      return "refusal";
    case OutboxKind::kReceipt:
      return "receipt";
    case OutboxKind::kPackage:
      return "package";
  }
  return "";
}

std::string RefusalBody(std::string_view assignment_id, RefusalKind kind, std::string_view reason) {
  return Cat("{\"assignment_id\":", CanonicalString(assignment_id),
             ",\"kind\":", CanonicalString(RefusalWord(kind)),
             ",\"reason\":", CanonicalString(reason), "}");
}

absl::Status EnqueueRefusal(Connection& db, const UnitRow& unit, RefusalKind kind,
                            std::string_view reason, int64_t now) {
  RETURN_IF_ERROR(
      Statement(db, "DELETE FROM outbox WHERE assignment_id = ? AND kind = 2", unit.assignment_id)
          .Run());
  const std::string body = RefusalBody(unit.assignment_id, kind, reason);
  RETURN_IF_ERROR(Insert(db, OutboxKind::kRefusal, unit, RefusalWord(kind), Blob{body}, now, now));
  return AddTo(db, Counter::kRefusals, 1);
}

absl::Status EnqueueResult(Connection& db, const UnitRow& unit, std::string_view body,
                           int64_t now) {
  return Insert(db, OutboxKind::kResult, unit, "", Blob{body}, now, now);
}

absl::Status EnqueueReceipt(Connection& db, const UnitRow& unit, std::string_view result_id,
                            int64_t now) {
  return Insert(db, OutboxKind::kReceipt, unit, result_id, std::nullopt, now,
                now + kFirstReceiptDelayMicros);
}

absl::StatusOr<int64_t> EnqueuePackage(Connection& db, std::string_view manifest_sha256,
                                       int64_t now) {
  {
    Statement present(db, "SELECT id FROM outbox WHERE kind = 4 AND subject = ?", manifest_sha256);
    ASSIGN_OR_RETURN(const bool found, present.Step());
    if (found) return present.Int(0);
  }
  RETURN_IF_ERROR(
      Insert(db, OutboxKind::kPackage, UnitRow{}, manifest_sha256, std::nullopt, now, now));
  return db.LastInsertRowId();
}

absl::Status DeleteOutboxItem(Connection& db, int64_t id) {
  return Statement(db, "DELETE FROM outbox WHERE id = ?", id).Run();
}

}  // namespace auspex::stated
