// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/experiment_store.h"

#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "coordd/random_ids.h"

namespace auspex::coordd {
namespace {

ExperimentRow ReadRow(const Rows& rows) {
  ExperimentRow out;
  out.id = rows.Int(0);
  out.experiment_id = rows.Text(1);
  out.tenant_id = rows.Text(2);
  out.label = rows.Text(3);
  out.manifest_sha256 = rows.Text(4);
  out.state = rows.Text(5);
  out.package_digest = rows.MaybeText(6);
  if (auto requirements = ReadJson(rows.Text(7)); requirements.ok()) {
    out.requirements = Requirements::FromJson(*requirements);
  }
  out.target = rows.Int(8);
  out.floor = rows.Int(9);
  out.max_units = rows.MaybeInt(10);
  out.max_concurrent = rows.MaybeInt(11);
  out.max_payload_octets = rows.MaybeInt(12);
  out.max_unit_seconds = rows.MaybeInt(13);
  out.created_at = rows.Int(14);
  out.finalized_at = rows.MaybeInt(15);
  out.completed_at = rows.MaybeInt(16);
  out.certified = rows.Int(17) != 0;
  return out;
}

#define AUSPEX_EXPERIMENT_COLUMNS                                                       \
  "SELECT id, experiment_id, tenant_id, label, manifest_sha256, state, package_digest," \
  " requirements, target, floor, max_units, max_concurrent, max_payload_octets,"        \
  " max_unit_seconds, created_at, finalized_at, completed_at, certified FROM experiments"

std::optional<ExperimentRow> First(Rows rows) {
  if (!rows.Next()) return std::nullopt;
  return ReadRow(rows);
}

}  // namespace

std::optional<ExperimentRow> FindExperiment(Database& db, const ExperimentId& id) {
  return First(db.Query(AUSPEX_EXPERIMENT_COLUMNS " WHERE experiment_id = ?", id));
}

std::optional<ExperimentRow> FindExperimentByKey(Database& db, int64_t id) {
  return First(db.Query(AUSPEX_EXPERIMENT_COLUMNS " WHERE id = ?", id));
}

std::vector<ExperimentRow> ListExperiments(Database& db) {
  std::vector<ExperimentRow> out;
  Rows rows = db.Query(AUSPEX_EXPERIMENT_COLUMNS " ORDER BY id");
  while (rows.Next()) out.push_back(ReadRow(rows));
  return out;
}

#undef AUSPEX_EXPERIMENT_COLUMNS

ExperimentRow InsertExperiment(Database& db, const NewExperiment& experiment,
                               std::string_view state, int64_t now) {
  const std::string id = MakeExperimentId();
  db.Run(
      "INSERT INTO experiments (experiment_id, tenant_id, label, manifest_sha256, manifest, "
      "signature,"
      " package_digest, state, requirements, target, floor, created_at, certified)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      id, experiment.tenant_id, experiment.label, experiment.manifest_sha256, experiment.manifest,
      experiment.signature, experiment.package_digest, state,
      WriteCanonical(experiment.requirements.ToJson()), experiment.target, experiment.floor, now,
      experiment.certified);
  return FindExperimentByKey(db, db.LastRowId()).value_or(ExperimentRow{});
}

bool ManifestKnown(Database& db, const Sha256Hex& manifest_sha256) {
  return db.Query("SELECT 1 FROM experiments WHERE manifest_sha256 = ?", manifest_sha256).Next();
}

bool LabelKnown(Database& db, const std::string& tenant_id, const std::string& label) {
  return db.Query("SELECT 1 FROM experiments WHERE tenant_id = ? AND label = ?", tenant_id, label)
      .Next();
}

void SetExperimentState(Database& db, int64_t experiment, std::string_view state) {
  db.Run("UPDATE experiments SET state = ? WHERE id = ?", state, experiment);
}

void InsertUnit(Database& db, int64_t experiment, const UnitId& unit, std::string_view payload,
                int64_t target, int64_t now) {
  db.Run(
      "INSERT INTO units (experiment, unit_id, payload, target, created_at) VALUES (?, ?, ?, ?, ?)",
      experiment, unit, payload, target, now);
}

bool UnitKnown(Database& db, int64_t experiment, const UnitId& unit) {
  return db.Query("SELECT 1 FROM units WHERE experiment = ? AND unit_id = ?", experiment, unit)
      .Next();
}

int64_t CountUnits(Database& db, int64_t experiment) {
  Rows rows = db.Query("SELECT count(*) FROM units WHERE experiment = ?", experiment);
  return rows.Next() ? rows.Int(0) : 0;
}

void EndExperiment(Database& db, int64_t experiment, std::string_view reason) {
  db.Run("UPDATE units SET status = 4 WHERE experiment = ? AND status < 2", experiment);
  db.Run(
      "UPDATE results SET outcome = 'experiment_terminal', outcome_reason = ? WHERE experiment = ?"
      " AND outcome IS NULL AND id NOT IN (SELECT result FROM receipts WHERE experiment = ?)",
      reason, experiment, experiment);
}

bool AllUnitsDone(Database& db, int64_t experiment) {
  return !db.Query("SELECT 1 FROM units WHERE experiment = ? AND status < 2 LIMIT 1", experiment)
              .Next();
}

}  // namespace auspex::coordd
