// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/leases.h"

#include <vector>

#include "common/log/log.h"

namespace auspex::coordd {

void GivePlaceBack(Services& services, int64_t unit) {
  services.db.Run("UPDATE units SET holding = holding - 1 WHERE id = ? AND holding > 0", unit);
  services.cursors.Reset();
  services.work_changed();
}

int64_t FreeSilentPlaces(Services& services, int64_t now) {
  const Options& options = services.options;
  if (options.expire_leases <= 0) return 0;
  const int64_t before = now - options.expire_leases * options.lease_seconds * 1'000'000;
  struct Silent {
    int64_t assignment, unit;
    std::string assignment_id;
  };
  std::vector<Silent> silent;
  {
    Rows rows = services.db.Query(
        "SELECT a.id, a.unit, a.assignment_id FROM experiments e"
        " JOIN assignments a ON a.experiment = e.id JOIN workers w ON w.id = a.worker"
        " WHERE e.state IN ('approved', 'paused') AND a.result IS NULL AND a.refused_at IS NULL"
        " AND a.assigned_at <= ?1 AND (a.attempts >= ?2 OR w.retired_at IS NOT NULL"
        "  OR coalesce(w.last_heartbeat_at, w.registered_at) <= ?1) LIMIT 1000",
        before, options.max_offers);
    while (rows.Next()) silent.push_back({rows.Int(0), rows.Int(1), rows.Text(2)});
  }
  for (const Silent& row : silent) {
    services.db.Run(
        "UPDATE assignments SET refused_at = ?, refused_kind = 'lease_expired', retryable = 1"
        " WHERE id = ?",
        now, row.assignment);
    GivePlaceBack(services, row.unit);
    LogInfo("place_freed", {{"assignment", row.assignment_id}});
  }
  return static_cast<int64_t>(silent.size());
}

}  // namespace auspex::coordd
