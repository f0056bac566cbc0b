// SPDX-License-Identifier: AGPL-3.0-only
// Experiments and their units as the store holds them. Called inside a request's savepoint; errors
// are the database's sticky error. Single-threaded.
#ifndef AUSPEX_COORDD_EXPERIMENT_STORE_H_
#define AUSPEX_COORDD_EXPERIMENT_STORE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/ids/ids.h"
#include "common/json/value.h"
#include "coordd/database.h"
#include "coordd/requirements.h"

namespace auspex::coordd {

struct ExperimentRow {
  int64_t id = 0;
  std::string experiment_id, tenant_id, label, manifest_sha256, state;
  std::optional<std::string> package_digest;
  Requirements requirements;
  int64_t target = 0, floor = 0;
  std::optional<int64_t> max_units, max_concurrent, max_payload_octets, max_unit_seconds;
  bool certified = false;  // results must conform to the feature_schema, which it then has
  int64_t created_at = 0;
  std::optional<int64_t> finalized_at, completed_at;
};

std::optional<ExperimentRow> FindExperiment(Database& db, const ExperimentId& id);
std::optional<ExperimentRow> FindExperimentByKey(Database& db, int64_t id);
std::vector<ExperimentRow> ListExperiments(Database& db);

struct NewExperiment {
  std::string tenant_id, label;
  Sha256Hex manifest_sha256;
  std::string manifest;                       // canonical JSON
  std::optional<std::string> signature;       // canonical JSON
  std::optional<std::string> package_digest;  // executor.package_sha256
  Requirements requirements;
  int64_t target = 1, floor = 1;
  bool certified = false;
};
// Inserts it in `state` and returns the row. The caller has checked that manifest and label are
// new.
ExperimentRow InsertExperiment(Database& db, const NewExperiment& experiment,
                               std::string_view state, int64_t now);
// Whether the manifest, or the tenant's label, is taken.
bool ManifestKnown(Database& db, const Sha256Hex& manifest_sha256);
bool LabelKnown(Database& db, const std::string& tenant_id, const std::string& label);

void SetExperimentState(Database& db, int64_t experiment, std::string_view state);
// `payload` is canonical JSON.
void InsertUnit(Database& db, int64_t experiment, const UnitId& unit, std::string_view payload,
                int64_t target, int64_t now);
bool UnitKnown(Database& db, int64_t experiment, const UnitId& unit);
int64_t CountUnits(Database& db, int64_t experiment);

// Cancels open units and marks results without a receipt as terminal with `reason` (section 10,
// last paragraph).
void EndExperiment(Database& db, int64_t experiment, std::string_view reason);
// True when no unit is open any more.
bool AllUnitsDone(Database& db, int64_t experiment);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_EXPERIMENT_STORE_H_
