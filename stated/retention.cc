// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/retention.h"

#include "common/base/status_macros.h"
#include "common/log/log.h"
#include "stated/units.h"

namespace auspex::stated {
namespace {

constexpr int64_t kBatch = 500;

// Runs one bounded DELETE or UPDATE again and again until it changes nothing. Returns how many rows
// it changed.
absl::StatusOr<int64_t> Repeat(Context& context, SqlText sql, int64_t keep) {
  int64_t total = 0;
  while (!context.changes.stopped()) {
    int64_t changed = 0;
    RETURN_IF_ERROR(context.db.Write([&](Connection& db) -> absl::Status {
      RETURN_IF_ERROR(Statement(db, sql, keep, kBatch).Run());
      changed = db.RowsChanged();
      return absl::OkStatus();
    }));
    total += changed;
    if (changed < kBatch) break;
  }
  return total;
}

absl::StatusOr<int64_t> CountRows(Context& context, SqlText sql) {
  int64_t count = 0;
  RETURN_IF_ERROR(context.db.Read([&](Connection& db) -> absl::Status {
    ASSIGN_OR_RETURN(count, SingleNumber(db, sql));
    return absl::OkStatus();
  }));
  return count;
}

// Payloads beyond the bound in octets, oldest first, of results that need them no more: what is
// submitted is checked against its receipt by digest, so that a coordinator which never issues one
// cannot make them pile up.
absl::Status PrunePayloads(Context& context) {
  ASSIGN_OR_RETURN(
      const int64_t octets,
      CountRows(context, "SELECT SUM(payload_octets) FROM results WHERE payload_octets > 0"));
  int64_t excess = octets - context.settings.keep_payload_octets;
  while (excess > 0 && !context.changes.stopped()) {
    int64_t freed = 0;
    RETURN_IF_ERROR(context.db.Write([&](Connection& db) -> absl::Status {
      freed = 0;
      int64_t last = 0;
      {
        Statement oldest(db,
                         "SELECT id, payload_octets FROM results WHERE payload_octets > 0 AND"
                         " receipt_status >= 1 ORDER BY id LIMIT 100");
        while (freed < excess) {
          ASSIGN_OR_RETURN(const bool more, oldest.Step());
          if (!more) break;
          last = oldest.Int(0);
          freed += oldest.Int(1);
        }
      }
      return Statement(db,
                       "UPDATE results SET payload = NULL, payload_octets = 0 WHERE id <= ? AND"
                       " payload_octets > 0 AND receipt_status >= 1",
                       last)
          .Run();
    }));
    if (freed == 0) break;
    excess -= freed;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status PruneAll(Context& context) {
  const Settings& settings = context.settings;
  int64_t pruned = 0;
  const auto prune = [&](SqlText count, SqlText sql, int64_t keep) -> absl::Status {
    ASSIGN_OR_RETURN(const int64_t rows, CountRows(context, count));
    if (rows <= keep) return absl::OkStatus();
    ASSIGN_OR_RETURN(const int64_t deleted, Repeat(context, sql, keep));
    pruned += deleted;
    return absl::OkStatus();
  };
  // Audit numbers have no holes but at the old end, so their span is their count.
  RETURN_IF_ERROR(prune("SELECT MAX(id) - MIN(id) + 1 FROM audit",
                        "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id <="
                        " (SELECT MAX(id) FROM audit) - ?1 ORDER BY id LIMIT ?2)",
                        settings.keep_audit));
  RETURN_IF_ERROR(
      prune("SELECT COUNT(*) FROM units",
            "DELETE FROM units WHERE id IN (SELECT id FROM units WHERE state IN (4, 5, 6) AND"
            " id <= (SELECT id FROM units ORDER BY id DESC LIMIT 1 OFFSET ?1) AND NOT EXISTS"
            " (SELECT 1 FROM outbox o WHERE o.assignment_id = units.assignment_id)"
            " ORDER BY id LIMIT ?2)",
            settings.keep_units));
  RETURN_IF_ERROR(
      prune("SELECT COUNT(*) FROM results",
            "DELETE FROM results WHERE id IN (SELECT id FROM results WHERE receipt_status >= 2 AND"
            " id <= (SELECT id FROM results ORDER BY id DESC LIMIT 1 OFFSET ?1) AND NOT EXISTS"
            " (SELECT 1 FROM outbox o WHERE o.assignment_id = results.assignment_id)"
            " ORDER BY id LIMIT ?2)",
            settings.keep_results));
  // Receipts that never come must not keep rows for ever either: first the questions, then (above)
  // their results.
  RETURN_IF_ERROR(prune(
      "SELECT COUNT(*) FROM outbox WHERE kind = 3",
      "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE kind = 3 AND id <= (SELECT id"
      " FROM outbox WHERE kind = 3 ORDER BY id DESC LIMIT 1 OFFSET ?1) ORDER BY id LIMIT ?2)",
      settings.keep_results * 100));
  RETURN_IF_ERROR(prune(
      "SELECT COUNT(*) FROM manifest_pins",
      "DELETE FROM manifest_pins WHERE id IN (SELECT id FROM manifest_pins WHERE id <= (SELECT id"
      " FROM manifest_pins ORDER BY id DESC LIMIT 1 OFFSET ?1) ORDER BY id LIMIT ?2)",
      settings.keep_pins));
  RETURN_IF_ERROR(PrunePayloads(context));
  if (pruned > 0) {
    LogInfo("pruned", {{"rows", pruned}});
    context.changes.Notify({Topic::kStatus});
  }
  return absl::OkStatus();
}

}  // namespace auspex::stated
