// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/offer.h"

#include <map>
#include <vector>

#include "coordd/experiment_store.h"
#include "coordd/random_ids.h"

namespace auspex::coordd {
namespace {

// Whether the experiment may have one more assignment that waits for a result.
bool BelowConcurrency(Database& db, const ExperimentRow& experiment) {
  if (!experiment.max_concurrent) return true;
  Rows rows = db.Query(
      "SELECT count(*) FROM assignments WHERE experiment = ? AND result IS NULL AND refused_at IS "
      "NULL",
      experiment.id);
  return rows.Next() && rows.Int(0) < *experiment.max_concurrent;
}

bool TenantSuspended(Database& db, const std::string& tenant_id) {
  return db
      .Query(
          "SELECT 1 FROM tenants t JOIN accounts a USING (account_id)"
          " WHERE t.tenant_id = ? AND a.suspended_at IS NOT NULL",
          tenant_id)
      .Next();
}

Offer ReadOffer(Database& db, int64_t assignment) {
  Offer out;
  Rows rows = db.Query(
      "SELECT a.assignment_id, e.experiment_id, u.unit_id, e.tenant_id, e.label, e.manifest_sha256,"
      " u.payload, u.created_at FROM assignments a JOIN units u ON u.id = a.unit"
      " JOIN experiments e ON e.id = a.experiment WHERE a.id = ?",
      assignment);
  if (!rows.Next()) return out;
  out.assignment_id = rows.Text(0);
  out.experiment_id = rows.Text(1);
  out.unit_id = rows.Text(2);
  out.tenant_id = rows.Text(3);
  out.label = rows.Text(4);
  out.manifest_sha256 = rows.Text(5);
  out.payload = rows.Text(6);
  out.created_at = rows.Int(7);
  return out;
}

class Chooser {
 public:
  Chooser(Services& services, const WorkerRow& worker, const JsonValue& capabilities, int64_t now)
      : services_(services),
        db_(services.db),
        worker_(worker),
        capabilities_(capabilities),
        now_(now) {}

  OfferChoice Choose() {
    OfferChoice out;
    std::optional<int64_t> assignment = Again();
    if (!assignment) assignment = Fresh();
    if (assignment) {
      out.offer = ReadOffer(db_, *assignment);
    } else {
      out.idle_reason = JsonObject{{"code", "no_pending_work"},
                                   {"message", "no work is waiting that fits this worker"}};
    }
    return out;
  }

 private:
  // A stale or retryably refused row of this worker (7.5), re-armed.
  std::optional<int64_t> Again() {
    struct Row {
      int64_t assignment, unit, experiment, assigned_at;
      bool refused, has_place;
    };
    std::vector<Row> candidates;
    {
      Rows rows = db_.Query(
          "SELECT a.id, a.unit, a.experiment, a.assigned_at, a.refused_at IS NOT NULL,"
          " u.holding < u.target FROM assignments a JOIN units u ON u.id = a.unit"
          " JOIN experiments e ON e.id = a.experiment"
          " WHERE a.worker = ? AND a.result IS NULL AND (a.refused_at IS NULL OR a.retryable = 1)"
          " AND a.attempts < ? AND u.status < 2 AND e.state = 'approved' ORDER BY a.id",
          worker_.id, services_.options.max_offers);
      while (rows.Next()) {
        candidates.push_back({rows.Int(0), rows.Int(1), rows.Int(2), rows.Int(3), rows.Int(4) != 0,
                              rows.Int(5) != 0});
      }
    }
    for (const Row& row : candidates) {
      // A stale row holds its own place; a refused one needs a free one.
      const bool stale = row.assigned_at + services_.options.lease_seconds * 1'000'000 <= now_;
      if (row.refused ? !row.has_place : !stale) continue;
      const ExperimentRow* experiment = Eligible(row.experiment);
      if (experiment == nullptr) continue;
      if (!row.refused && DownloadsNeededModel(experiment->requirements, capabilities_)) continue;
      if (row.refused && !BelowConcurrency(db_, *experiment)) continue;
      db_.Run(
          "UPDATE assignments SET assigned_at = ?, attempts = attempts + 1, refused_at = NULL,"
          " refused_kind = NULL, refused_reason = NULL, retryable = 0 WHERE id = ?",
          now_, row.assignment);
      if (row.refused) db_.Run("UPDATE units SET holding = holding + 1 WHERE id = ?", row.unit);
      return row.assignment;
    }
    return std::nullopt;
  }

  // The first unit with a place that this worker has no row for.
  std::optional<int64_t> Fresh() {
    std::vector<int64_t> experiments;
    {
      Rows rows = db_.Query(
          "SELECT e.id FROM experiments e WHERE e.state = 'approved' AND EXISTS (SELECT 1 FROM "
          "units u"
          " WHERE u.experiment = e.id AND u.status < 2 AND u.holding < u.target) ORDER BY e.id");
      while (rows.Next()) experiments.push_back(rows.Int(0));
    }
    for (const int64_t id : experiments) {
      const ExperimentRow* experiment = Eligible(id);
      if (experiment == nullptr || !BelowConcurrency(db_, *experiment)) continue;
      if (auto assignment = FreshIn(*experiment)) return assignment;
    }
    return std::nullopt;
  }

  std::optional<int64_t> FreshIn(const ExperimentRow& experiment) {
    // Units up to the cursor are full or known to this worker. The walk moves the cursor over those
    // that it meets here.
    int64_t cursor = services_.cursors.Get(worker_.id, experiment.id);
    std::optional<int64_t> unit;
    {
      Rows rows = db_.Query(
          "SELECT u.id, EXISTS (SELECT 1 FROM assignments a WHERE a.unit = u.id AND a.worker = ?1)"
          " FROM units u WHERE u.experiment = ?2 AND u.id > ?3 AND u.status < 2"
          " AND u.holding < u.target ORDER BY u.id",
          worker_.id, experiment.id, cursor);
      while (rows.Next()) {
        cursor = rows.Int(0);
        if (rows.Int(1) == 0) {
          unit = cursor;
          break;
        }
      }
    }
    services_.cursors.Set(worker_.id, experiment.id, cursor);
    if (!unit) return std::nullopt;
    db_.Run(
        "INSERT INTO assignments (assignment_id, unit, experiment, worker, assigned_at)"
        " VALUES (?, ?, ?, ?, ?)",
        MakeId("asg-"), *unit, experiment.id, worker_.id, now_);
    const int64_t assignment = db_.LastRowId();
    db_.Run("UPDATE units SET holding = holding + 1, status = max(status, 1) WHERE id = ?", *unit);
    return assignment;
  }

  // The experiment if its work may go to this worker, else null; looked up once a poll.
  const ExperimentRow* Eligible(int64_t id) {
    const auto [it, is_new] = eligible_.try_emplace(id);
    if (is_new) {
      it->second = FindExperimentByKey(db_, id);
      if (it->second && !IsEligible(*it->second)) it->second.reset();
    }
    return it->second ? &*it->second : nullptr;
  }

  bool IsEligible(const ExperimentRow& experiment) {
    if (TenantSuspended(db_, experiment.tenant_id)) return false;
    return CheckFit(experiment.requirements, capabilities_) == Fit::kFits;
  }

  Services& services_;
  Database& db_;
  const WorkerRow& worker_;
  const JsonValue& capabilities_;
  const int64_t now_;
  std::map<int64_t, std::optional<ExperimentRow>> eligible_;
};

}  // namespace

OfferChoice ChooseOffer(Services& services, const WorkerRow& worker, const JsonValue& capabilities,
                        int64_t now) {
  return Chooser(services, worker, capabilities, now).Choose();
}

}  // namespace auspex::coordd
