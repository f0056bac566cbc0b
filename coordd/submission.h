// SPDX-License-Identifier: AGPL-3.0-only
// What both ways of creating work share: judging a manifest and a batch of units
// (coordinator 14.2, 14.4, 14.5).
#ifndef AUSPEX_COORDD_SUBMISSION_H_
#define AUSPEX_COORDD_SUBMISSION_H_

#include <optional>
#include <set>
#include <string>
#include <variant>

#include "common/ids/ids.h"
#include "common/json/value.h"
#include "coordd/experiment_store.h"
#include "coordd/http_message.h"

namespace auspex::coordd {

// The manifest's members that name it.
struct ManifestNames {
  TenantId tenant;
  ExperimentLabel label;
};
// 422 `manifest_malformed` when one is missing or not of its kind.
std::variant<ManifestNames, Reply> ReadManifestNames(const JsonValue& manifest);

// The rest of an experiment: requirements, pin, hash. Refusals: the 422 codes of 14.2, 409
// `duplicate_manifest`, 409 `duplicate_experiment_label`.
std::variant<NewExperiment, Reply> PrepareExperiment(Database& db, const JsonValue& manifest,
                                                     const ManifestNames& names,
                                                     SandboxLevel sandbox, int64_t target,
                                                     int64_t floor);

// The refusal to certify an experiment whose manifest has no feature_schema.
Reply NothingToCertify(int status);

// manifest.replication_factor, 1 to 100; 1 when absent or out of range.
int64_t ReplicationFactor(const JsonValue& manifest);

// Reads unit_id (checked) and payload (an object, absent = {}) of one element and inserts it.
// `seen` holds the ids of this batch. Refusals: 422 list, 422 `duplicate_unit_id_in_batch`, 422
// `payload_too_large`, 409 `unit_id_already_submitted`.
std::optional<Reply> AddUnit(Database& db, const ExperimentRow& experiment, const JsonValue& unit,
                             std::set<std::string>& seen, int64_t now, std::string* unit_id);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_SUBMISSION_H_
