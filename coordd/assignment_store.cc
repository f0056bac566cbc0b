// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/assignment_store.h"

#include "coordd/leases.h"

namespace auspex::coordd {

std::optional<AssignmentRow> FindAssignment(Database& db, const UnitId& unit, int64_t worker,
                                            const std::optional<std::string>& assignment_id) {
  Rows rows = db.Query(
      "SELECT a.id, a.unit, a.experiment, a.worker, a.assignment_id, a.refused_at, a.result, "
      "r.result_id,"
      " u.status FROM assignments a JOIN units u ON u.id = a.unit JOIN experiments e ON e.id = "
      "a.experiment"
      " LEFT JOIN results r ON r.id = a.result"
      " WHERE a.worker = ?1 AND u.unit_id = ?2 AND e.state NOT IN ('aborted', 'archived')"
      " AND (?3 IS NULL OR a.assignment_id = ?3)"
      " ORDER BY a.result IS NOT NULL, a.refused_at IS NOT NULL, a.id LIMIT 1",
      worker, unit, assignment_id);
  if (!rows.Next()) return std::nullopt;
  AssignmentRow out;
  out.id = rows.Int(0);
  out.unit = rows.Int(1);
  out.experiment = rows.Int(2);
  out.worker = rows.Int(3);
  out.assignment_id = rows.Text(4);
  out.refused_at = rows.MaybeInt(5);
  out.result = rows.MaybeInt(6);
  out.result_id = rows.MaybeText(7);
  out.unit_status = rows.Int(8);
  return out;
}

void RefuseAssignment(Services& services, const AssignmentRow& assignment, std::string_view kind,
                      std::string_view reason, bool retryable, int64_t now) {
  services.db.Run(
      "UPDATE assignments SET refused_at = ?, refused_kind = ?, refused_reason = ?, retryable = ?"
      " WHERE id = ?",
      now, kind, reason, retryable, assignment.id);
  // A row that was refused before holds no place.
  if (!assignment.refused_at) GivePlaceBack(services, assignment.unit);
}

bool IsRetryable(std::string_view kind, std::string_view reason) {
  for (const std::string_view known :
       {"runner_failed", "sandbox_unavailable", "thermal_critical", "submit_failed_transient"}) {
    if (kind == known) return true;
  }
  std::string lower(reason);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  for (const std::string_view marker :
       {"package_unavailable", "serving unavailable", "serving_version_mismatch"}) {
    if (lower.find(marker) != std::string::npos) return true;
  }
  return false;
}

}  // namespace auspex::coordd
