// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/units.h"

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/ids/ids.h"

namespace auspex::stated {
namespace {

std::string_view CounterName(Counter counter) {
  switch (counter) {
    case Counter::kResultsSubmitted:
      return "results_submitted";
    case Counter::kResultsTerminal:
      return "results_terminal";
    case Counter::kExperiments:
      return "experiments";
    case Counter::kRefusals:
      return "refusals";
    case Counter::kReceiptsPlaceholder:
      return "receipts_placeholder";
    case Counter::kReceiptsCanonical:
      return "receipts_canonical";
    case Counter::kReceiptsNone:
      return "receipts_none";
    case Counter::kReceiptsBad:
      return "receipts_bad";
  }
  return "";
}

}  // namespace

absl::StatusOr<std::optional<UnitRow>> FindUnit(Connection& db, std::string_view assignment_id) {
  Statement row(db,
                "SELECT id, assignment_id, unit_id, tenant_id, experiment_id, experiment_label,"
                " manifest_sha256, created_at, state, owner_refused, offered_at, note"
                " FROM units WHERE assignment_id = ?",
                assignment_id);
  ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return std::nullopt;
  UnitRow unit;
  unit.id = row.Int(0);
  unit.assignment_id = row.Text(1);
  unit.unit_id = row.Text(2);
  unit.tenant_id = row.Text(3);
  unit.experiment_id = row.Text(4);
  unit.experiment_label = row.Text(5);
  unit.manifest_sha256 = row.Text(6);
  unit.created_at = row.Text(7);
  unit.state = static_cast<UnitState>(row.Int(8));
  unit.owner_refused = row.Int(9) != 0;
  unit.offered_at = row.Int(10);
  unit.note = row.Text(11);
  return unit;
}

absl::StatusOr<UnitRow> RequireUnit(Connection& db, std::string_view assignment_id) {
  ASSIGN_OR_RETURN(std::optional<UnitRow> unit, FindUnit(db, assignment_id));
  if (!unit.has_value()) {
    return absl::NotFoundError(Cat("assignment ", Printable(assignment_id), ": not known here"));
  }
  return *std::move(unit);
}

absl::Status MoveUnit(Connection& db, UnitRow& unit, UnitEvent event, std::string_view note,
                      int64_t now) {
  const std::optional<UnitState> next = NextState(unit.state, event);
  if (!next.has_value()) {
    return absl::FailedPreconditionError(Cat("unit ", unit.unit_id, " (assignment ",
                                             unit.assignment_id, ") is ", UnitStateWord(unit.state),
                                             " and cannot ", UnitEventWord(event)));
  }
  unit.state = *next;
  unit.note = note;
  return Statement(db, "UPDATE units SET state = ?, note = ?, state_at = ? WHERE id = ?",
                   static_cast<int>(*next), note, now, unit.id)
      .Run();
}

absl::Status DropUnitPayload(Connection& db, const UnitRow& unit) {
  return Statement(db, "UPDATE units SET payload = NULL WHERE id = ?", unit.id).Run();
}

absl::Status WriteAudit(Connection& db, std::string_view action, const UnitRow& unit,
                        std::string_view reason, int64_t now) {
  return Statement(db,
                   "INSERT INTO audit (occurred_at, action, unit_id, assignment_id, experiment_id,"
                   " tenant_id, manifest_sha256, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                   now, action, unit.unit_id, unit.assignment_id, unit.experiment_id,
                   unit.tenant_id, unit.manifest_sha256, reason)
      .Run();
}

absl::Status AddTo(Connection& db, Counter counter, int64_t difference) {
  return Statement(db,
                   "INSERT INTO counters (name, value) VALUES (?, ?)"
                   " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                   CounterName(counter), difference)
      .Run();
}

absl::StatusOr<int64_t> ReadCounter(Connection& db, Counter counter) {
  Statement row(db, "SELECT value FROM counters WHERE name = ?", CounterName(counter));
  ASSIGN_OR_RETURN(const bool found, row.Step());
  return found ? row.Int(0) : 0;
}

absl::StatusOr<int64_t> SingleNumber(Connection& db, SqlText sql) {
  Statement row(db, sql);
  ASSIGN_OR_RETURN(const bool found, row.Step());
  return found ? row.Int(0) : 0;
}

}  // namespace auspex::stated
