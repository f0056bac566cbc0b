// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/quorum.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "common/json/reader.h"
#include "common/log/log.h"
#include "coordd/attestation.h"
#include "coordd/receipt_store.h"
#include "coordd/unit_state.h"

namespace auspex::coordd {
namespace {

// The number at a dotted path of object members; nullopt when there is none.
std::optional<double> NumberAt(const JsonValue& payload, std::string_view path) {
  const JsonValue* at = &payload;
  while (at != nullptr && !path.empty()) {
    const size_t dot = std::min(path.find('.'), path.size());
    at = at->Find(path.substr(0, dot));
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return at != nullptr ? at->AsNumber() : std::nullopt;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

// Inside: same exit code as the first result, and every declared feature within its bounds of the
// median.
Verdict ReduceByTolerance(const Requirements& requirements,
                          const std::vector<ReplicaResult>& results, int64_t floor) {
  std::vector<JsonValue> payloads;
  for (const ReplicaResult& result : results) {
    auto payload = ReadJson(result.payload);
    payloads.push_back(payload.ok() ? *std::move(payload) : JsonValue());
  }
  std::vector<bool> inside(results.size(), true);
  for (size_t i = 0; i < results.size(); ++i) {
    inside[i] = results[i].exit_code == results.front().exit_code;
  }
  for (const auto& feature : requirements.tolerances) {
    std::vector<double> values;
    for (const JsonValue& payload : payloads) {
      if (auto number = NumberAt(payload, feature.path)) values.push_back(*number);
    }
    const double centre = values.empty() ? 0 : Median(values);
    for (size_t i = 0; i < results.size(); ++i) {
      const auto number = NumberAt(payloads[i], feature.path);
      const double allowed = feature.absolute + feature.relative * std::fabs(centre);
      if (!number || !(std::fabs(*number - centre) <= allowed)) inside[i] = false;
    }
  }
  Verdict verdict{.dissent = "diverged_from_consensus"};
  for (size_t i = 0; i < results.size(); ++i) {
    if (inside[i]) verdict.inside.push_back(i);
  }
  verdict.agreed = static_cast<int64_t>(verdict.inside.size()) >= std::max<int64_t>(floor, 1);
  if (!verdict.agreed) {
    verdict.inside.clear();
    verdict.dissent = "quorum_disagreed";
  }
  return verdict;
}

// The unit's results, one per worker key: the earliest by completion, then by key.
std::vector<ReplicaResult> LoadResults(Database& db, int64_t unit) {
  std::vector<ReplicaResult> out;
  std::set<std::string> keys;
  Rows rows = db.Query(
      "SELECT id, worker, worker_pubkey, exit_code, payload, semantic_hash, canonical_sha256, "
      "completed_micros"
      " FROM results WHERE unit = ? ORDER BY completed_micros, id",
      unit);
  while (rows.Next()) {
    ReplicaResult result{.id = rows.Int(0),
                         .worker = rows.Int(1),
                         .worker_pubkey = rows.Text(2),
                         .exit_code = rows.Int(3),
                         .payload = rows.Text(4),
                         .semantic_hash = rows.Text(5),
                         .canonical_sha256 = rows.Text(6),
                         .completed_micros = rows.Int(7)};
    if (keys.insert(result.worker_pubkey).second) out.push_back(std::move(result));
  }
  return out;
}

void MarkTerminal(Database& db, int64_t result, std::string_view reason) {
  db.Run("UPDATE results SET outcome = 'no_receipt', outcome_reason = ? WHERE id = ?", reason,
         result);
}

void CompleteUnit(Services& services, const ExperimentRow& experiment, int64_t unit, int64_t target,
                  int64_t now) {
  Database& db = services.db;
  const std::vector<ReplicaResult> results = LoadResults(db, unit);
  const Verdict verdict = Reduce(experiment.requirements, results, experiment.floor);
  std::optional<int64_t> consensus;
  if (verdict.agreed) consensus = results[verdict.inside.front()].id;
  db.Run("UPDATE units SET status = 2, agreed = ?, consensus_result = ? WHERE id = ?",
         verdict.agreed, consensus, unit);
  if (verdict.agreed) IssueReceipts(services, experiment, unit, target, results, verdict, now);
  const std::set<size_t> inside(verdict.inside.begin(), verdict.inside.end());
  for (size_t i = 0; i < results.size(); ++i) {
    if (!inside.contains(i)) MarkTerminal(db, results[i].id, verdict.dissent);
  }
}

}  // namespace

Verdict Reduce(const Requirements& requirements, const std::vector<ReplicaResult>& results,
               int64_t floor) {
  Verdict verdict{.dissent = "quorum_disagreed"};
  if (results.empty()) return verdict;
  if (requirements.reducer == "builtin_within_cell_tolerance") {
    return ReduceByTolerance(requirements, results, floor);
  }
  verdict.receipts_alone = requirements.reducer == "builtin_process_only";
  // Unanimity or nothing: there is no majority.
  verdict.agreed = verdict.receipts_alone ||
                   std::all_of(results.begin(), results.end(), [&](const ReplicaResult& result) {
                     return result.semantic_hash == results.front().semantic_hash;
                   });
  for (size_t i = 0; verdict.agreed && i < results.size(); ++i) verdict.inside.push_back(i);
  return verdict;
}

UnitProgress SettleUnit(Services& services, const ExperimentRow& experiment, int64_t unit,
                        int64_t result, int64_t now) {
  Database& db = services.db;
  UnitProgress out;
  {
    Rows rows = db.Query("SELECT status, completions, target FROM units WHERE id = ?", unit);
    if (!rows.Next()) return out;
    out = {.status = rows.Int(0), .completions = rows.Int(1), .target = rows.Int(2)};
  }
  if (out.status >= static_cast<int64_t>(UnitStatus::kCompleted)) {
    // Late or surplus: stored and counted, no receipt (8.1, remarks).
    MarkTerminal(db, result, "non_consensus");
    return out;
  }
  if (out.completions < out.target) return out;
  CompleteUnit(services, experiment, unit, out.target, now);
  out.status = static_cast<int64_t>(UnitStatus::kCompleted);
  MaybeCompleteExperiment(services, experiment.id, now);
  return out;
}

void FailUnit(Services& services, const ExperimentRow& experiment, int64_t unit, int64_t now) {
  if (services.db.Run("UPDATE units SET status = 3 WHERE id = ? AND status < 2", unit) == 0) return;
  services.db.Run(
      "UPDATE results SET outcome = 'no_receipt', outcome_reason = 'unit_failed' WHERE unit = ?"
      " AND outcome IS NULL",
      unit);
  MaybeCompleteExperiment(services, experiment.id, now);
}

void MaybeCompleteExperiment(Services& services, int64_t experiment_key, int64_t now) {
  Database& db = services.db;
  {
    // The cheap questions first: this runs after every completed unit.
    Rows rows = db.Query(
        "SELECT 1 FROM experiments e WHERE e.id = ? AND e.state = 'approved' AND (e.finalized_at "
        "IS NOT NULL"
        " OR (e.max_units IS NOT NULL AND e.max_units <= (SELECT count(*) FROM units u WHERE "
        "u.experiment = e.id)))",
        experiment_key);
    if (!rows.Next()) return;
  }
  if (!AllUnitsDone(db, experiment_key)) return;
  db.Run("UPDATE experiments SET state = 'completed', completed_at = ? WHERE id = ?", now,
         experiment_key);
  const auto experiment = FindExperimentByKey(db, experiment_key);
  if (!experiment) return;
  IssueAttestation(services, *experiment, now);
  LogInfo("experiment_completed", {{"experiment", experiment->experiment_id}});
}

}  // namespace auspex::coordd
