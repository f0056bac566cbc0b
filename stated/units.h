// SPDX-License-Identifier: AGPL-3.0-only
// Rows of units, audit and counters, as the other parts of this library read and write them inside
// a transaction. Plain functions over an open Connection; the caller's thread rules apply.
#ifndef AUSPEX_STATED_UNITS_H_
#define AUSPEX_STATED_UNITS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stated/sqlite.h"
#include "stated/unit_state.h"

namespace auspex::stated {

// One row of units, without its payload. Text columns hold parsed identifiers.
struct UnitRow {
  int64_t id = 0;
  std::string assignment_id, unit_id, tenant_id, experiment_id, experiment_label, manifest_sha256;
  std::string created_at;
  UnitState state = UnitState::kNone;
  bool owner_refused = false;
  int64_t offered_at = 0;
  std::string note;
};

// The unit of an assignment; nullopt when there is none. `assignment_id` may be any text.
absl::StatusOr<std::optional<UnitRow>> FindUnit(Connection& db, std::string_view assignment_id);
// The same, NOT_FOUND naming the assignment.
absl::StatusOr<UnitRow> RequireUnit(Connection& db, std::string_view assignment_id);

// Applies `event` to `unit` in memory and in its row. FAILED_PRECONDITION "unit u (assignment a) is
// <state> and cannot <event>". `note` replaces the row's note.
absl::Status MoveUnit(Connection& db, UnitRow& unit, UnitEvent event, std::string_view note,
                      int64_t now);

// Deletes the payload of a unit that will not run again.
absl::Status DropUnitPayload(Connection& db, const UnitRow& unit);

// Writes an audit row about `unit`. `reason` has been cleaned.
absl::Status WriteAudit(Connection& db, std::string_view action, const UnitRow& unit,
                        std::string_view reason, int64_t now);

// Adds to one of the lifetime totals.
enum class Counter {
  kResultsSubmitted,
  kResultsTerminal,
  kExperiments,
  kRefusals,
  kReceiptsPlaceholder,
  kReceiptsCanonical,
  kReceiptsNone,
  kReceiptsBad,
};
absl::Status AddTo(Connection& db, Counter counter, int64_t difference);
absl::StatusOr<int64_t> ReadCounter(Connection& db, Counter counter);

// A count or other single number; 0 when the query brings no row.
absl::StatusOr<int64_t> SingleNumber(Connection& db, SqlText sql);

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_UNITS_H_
