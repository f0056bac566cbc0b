// SPDX-License-Identifier: AGPL-3.0-only
// Assignments: one row per unit and worker. One index finds them all, so a restart loses sight of
// none (coordinator 17, oddity 6). Called inside a request's savepoint. Single-threaded.
#ifndef AUSPEX_COORDD_ASSIGNMENT_STORE_H_
#define AUSPEX_COORDD_ASSIGNMENT_STORE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "common/ids/ids.h"
#include "coordd/services.h"

namespace auspex::coordd {

struct AssignmentRow {
  int64_t id = 0, unit = 0, experiment = 0, worker = 0;
  std::string assignment_id;
  std::optional<int64_t> refused_at;
  std::optional<int64_t> result;  // key of the result
  std::optional<std::string> result_id;
  int64_t unit_status = 0;
};

// The assignment of this unit and worker in an experiment that is neither aborted nor archived, and
// with this assignment id when one is given (8.1 step 4). Without one, a row that still waits comes
// before resolved ones.
std::optional<AssignmentRow> FindAssignment(Database& db, const UnitId& unit, int64_t worker,
                                            const std::optional<std::string>& assignment_id);

// Records a refusal and gives the place back. `retryable` rows may be offered to the same worker
// again.
void RefuseAssignment(Services& services, const AssignmentRow& assignment, std::string_view kind,
                      std::string_view reason, bool retryable, int64_t now);

// Whether a refusal of this kind and reason may be offered again (7.5).
bool IsRetryable(std::string_view kind, std::string_view reason);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_ASSIGNMENT_STORE_H_
