// SPDX-License-Identifier: AGPL-3.0-only
// FeatureSchemas: the parsed schemas of the experiments whose results came in last, so that a
// manifest is read once and not for every result. Keyed by the manifest's hash, which fixes the
// schema. Bounded in number; the oldest goes first. Single-threaded.
#ifndef AUSPEX_COORDD_FEATURE_SCHEMAS_H_
#define AUSPEX_COORDD_FEATURE_SCHEMAS_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "common/json/reader.h"
#include "coordd/database.h"
#include "coordd/experiment_store.h"
#include "coordd/feature_schema.h"

namespace auspex::coordd {

class FeatureSchemas {
 public:
  // The schema of an experiment whose requirements say that it has one; nullopt when the stored
  // manifest cannot be read, which only a damaged store brings about.
  std::optional<FeatureSchema> Get(Database& db, const ExperimentRow& experiment) {
    for (const auto& [key, schema] : entries_) {
      if (key == experiment.manifest_sha256) return schema;
    }
    Rows rows = db.Query("SELECT manifest FROM experiments WHERE id = ?", experiment.id);
    if (!rows.Next()) return std::nullopt;
    const auto manifest = ReadJson(
        rows.Text(0), {.max_octets = SIZE_MAX, .max_depth = kMaxJsonDepth, .max_values = SIZE_MAX});
    const JsonValue* member = manifest.ok() ? manifest->Find("feature_schema") : nullptr;
    if (member == nullptr) return std::nullopt;
    auto schema = FeatureSchema::Parse(*member);
    if (!schema.ok()) return std::nullopt;
    entries_.emplace_back(experiment.manifest_sha256, *schema);
    if (entries_.size() > kMaxEntries) entries_.pop_front();
    return *std::move(schema);
  }

 private:
  static constexpr size_t kMaxEntries = 32;
  std::deque<std::pair<std::string, FeatureSchema>> entries_;
};

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_FEATURE_SCHEMAS_H_
