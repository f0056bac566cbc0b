// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/listings.h"

#include <algorithm>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/ids/ids.h"

namespace auspex::stated {
namespace {

int64_t Limit(int64_t asked, int64_t when_zero, int64_t most) {
  return asked <= 0 ? when_zero : std::min(asked, most);
}

AuditRow ReadAudit(const Statement& row) {
  return AuditRow{row.Int(0),  row.Int(1),  row.Text(2), row.Text(3), row.Text(4),
                  row.Text(5), row.Text(6), row.Text(7), row.Text(8)};
}

ResultRow ReadResult(const Statement& row) {
  ResultRow result;
  result.unit_id = row.Text(0);
  result.result_id = row.Text(1);
  result.assignment_id = row.Text(2);
  result.tenant_id = row.Text(3);
  result.experiment_id = row.Text(4);
  result.completed_at = row.Text(5);
  if (!row.IsNull(6)) result.submitted_at = row.Int(6);
  if (!row.IsNull(7)) result.receipt_fetched_at = row.Int(7);
  result.exit_code = row.Int(8);
  result.completions_so_far = row.Int(9);
  result.replication_target = row.Int(10);
  result.agreeing_workers = row.Int(11);
  result.receipt_status = static_cast<ReceiptStatus>(row.Int(12));
  result.receipt_note = row.Text(13);
  result.receipt_signer = row.Text(14);
  result.unit_status_after = row.Text(15);
  result.result_sha256 = row.Text(16);
  return result;
}

// Reads every row of `statement` through `read`.
template <typename Row, typename Reader>
absl::Status Collect(Statement& statement, std::vector<Row>& rows, Reader read) {
  while (true) {
    ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return absl::OkStatus();
    rows.push_back(read(statement));
  }
}

#define AUSPEX_RESULT_COLUMNS                                                                 \
  "unit_id, result_id, assignment_id, tenant_id, experiment_id, completed_at, submitted_at,"  \
  " receipt_fetched_at, exit_code, completions_so_far, replication_target, agreeing_workers," \
  " receipt_status, receipt_note, receipt_signer, unit_status_after, result_sha256"

}  // namespace

absl::StatusOr<std::vector<AuditRow>> ListAudit(Context& context, const AuditFilter& filter) {
  std::vector<AuditRow> rows;
  const int64_t limit = Limit(filter.limit, 100, 10'000);
  RETURN_IF_ERROR(context.db.Read([&](Connection& db) -> absl::Status {
    rows.clear();
    // One literal per filter that has an index, so that none scans the table.
    if (!filter.unit_id.empty()) {
      Statement by_unit(
          db,
          "SELECT id, occurred_at, action, unit_id, assignment_id, experiment_id, tenant_id,"
          " manifest_sha256, reason FROM audit WHERE unit_id = ?1 AND (?2 = '' OR action = ?2)"
          " AND occurred_at >= ?3 ORDER BY id DESC LIMIT ?4",
          filter.unit_id, filter.action, filter.since, limit);
      return Collect(by_unit, rows, ReadAudit);
    }
    if (!filter.action.empty()) {
      Statement by_action(
          db,
          "SELECT id, occurred_at, action, unit_id, assignment_id, experiment_id, tenant_id,"
          " manifest_sha256, reason FROM audit WHERE action = ?1 AND occurred_at >= ?2"
          " ORDER BY id DESC LIMIT ?3",
          filter.action, filter.since, limit);
      return Collect(by_action, rows, ReadAudit);
    }
    Statement newest(
        db,
        "SELECT id, occurred_at, action, unit_id, assignment_id, experiment_id, tenant_id,"
        " manifest_sha256, reason FROM audit WHERE occurred_at >= ?1 ORDER BY id DESC LIMIT ?2",
        filter.since, limit);
    return Collect(newest, rows, ReadAudit);
  }));
  return rows;
}

absl::StatusOr<std::vector<ListedUnit>> ListUnits(Context& context, bool all, int64_t limit) {
  std::vector<ListedUnit> units;
  RETURN_IF_ERROR(context.db.Read([&](Connection& db) -> absl::Status {
    units.clear();
    Statement rows(
        db,
        "SELECT u.assignment_id, u.unit_id, u.tenant_id, u.experiment_id, u.experiment_label,"
        " u.manifest_sha256, u.state, u.offered_at, u.note, o.attempts, o.last_error"
        " FROM units u LEFT JOIN outbox o ON o.assignment_id = u.assignment_id AND o.kind IN (1, 2)"
        " WHERE ?1 OR u.state IN (1, 2, 3) OR o.id IS NOT NULL ORDER BY u.id DESC LIMIT ?2",
        all, Limit(limit, 100, 10'000));
    return Collect(rows, units, [](const Statement& row) {
      ListedUnit listed;
      listed.unit.assignment_id = row.Text(0);
      listed.unit.unit_id = row.Text(1);
      listed.unit.tenant_id = row.Text(2);
      listed.unit.experiment_id = row.Text(3);
      listed.unit.experiment_label = row.Text(4);
      listed.unit.manifest_sha256 = row.Text(5);
      listed.unit.state = static_cast<UnitState>(row.Int(6));
      listed.unit.offered_at = row.Int(7);
      listed.unit.note = row.Text(8);
      listed.attempts = row.Int(9);
      listed.last_error = row.Text(10);
      return listed;
    });
  }));
  return units;
}

absl::StatusOr<std::vector<ResultRow>> ListResults(Context& context, const ResultFilter& filter) {
  std::vector<ResultRow> results;
  RETURN_IF_ERROR(context.db.Read([&](Connection& db) -> absl::Status {
    results.clear();
    Statement rows(db,
                   "SELECT " AUSPEX_RESULT_COLUMNS
                   " FROM results WHERE submitted_at >= ?1 AND (?2 = '' OR tenant_id = ?2)"
                   " ORDER BY submitted_at DESC, id DESC LIMIT ?3",
                   filter.since, filter.tenant_id, Limit(filter.limit, 50, 100'000));
    return Collect(rows, results, ReadResult);
  }));
  return results;
}

absl::StatusOr<ResultRow> GetResult(Context& context, std::string_view identifier) {
  std::vector<ResultRow> found;
  RETURN_IF_ERROR(context.db.Read([&](Connection& db) -> absl::Status {
    found.clear();
    const auto with_blobs = [](const Statement& row) {
      ResultRow result = ReadResult(row);
      result.receipt = row.Text(17);
      result.canonical_payload = row.Text(18);
      return result;
    };
    Statement by_result(
        db,
        "SELECT " AUSPEX_RESULT_COLUMNS
        ", receipt, payload FROM results WHERE result_id = ? ORDER BY id DESC LIMIT 1",
        identifier);
    RETURN_IF_ERROR(Collect(by_result, found, with_blobs));
    if (!found.empty()) return absl::OkStatus();
    Statement by_unit(db,
                      "SELECT " AUSPEX_RESULT_COLUMNS
                      ", receipt, payload FROM results WHERE unit_id = ? ORDER BY id DESC LIMIT 1",
                      identifier);
    return Collect(by_unit, found, with_blobs);
  }));
  if (!found.empty()) return std::move(found.front());
  return absl::NotFoundError(Cat("result ", Printable(identifier), ": not known here"));
}

absl::StatusOr<TenantLists> ListTenants(Context& context) {
  TenantLists lists;
  RETURN_IF_ERROR(context.db.Read([&](Connection& db) -> absl::Status {
    lists = TenantLists{};
    Statement rows(db, "SELECT tenant_id, list FROM tenants ORDER BY tenant_id");
    while (true) {
      ASSIGN_OR_RETURN(const bool more, rows.Step());
      if (!more) return absl::OkStatus();
      (rows.Text(1) == "allow" ? lists.allowed : lists.denied).push_back(rows.Text(0));
    }
  }));
  return lists;
}

}  // namespace auspex::stated
