// SPDX-License-Identifier: AGPL-3.0-only
// What an experiment asks of a worker, derived from its manifest once, and whether a worker's
// reported capabilities fit (coordinator 7.4). Pure functions, any thread.
#ifndef AUSPEX_COORDD_REQUIREMENTS_H_
#define AUSPEX_COORDD_REQUIREMENTS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/json/value.h"

namespace auspex::coordd {

enum class SandboxLevel { kPermissive = 0, kStrict = 1 };

// Absent or unknown text is permissive.
SandboxLevel SandboxLevelOf(const std::string* untrusted_word);
std::string_view SandboxWord(SandboxLevel level);

struct Requirements {
  SandboxLevel sandbox = SandboxLevel::kPermissive;
  bool generation_policy = false;  // the one known worker feature
  bool requires_real_execution = false;
  std::vector<std::string> models;  // ids with local_weights_required
  // Models of the manifest whose served file is pinned: id and digest, compared case-sensitively
  // (8.1 step 8).
  std::vector<std::pair<std::string, std::string>> pinned_weights;
  std::string reducer = "builtin_hash_agreement";
  struct Tolerance {
    std::string path;  // dotted path into the payload
    double absolute = 0, relative = 0;
  };
  std::vector<Tolerance> tolerances;  // of builtin_within_cell_tolerance
  bool capture_raw = false;
  bool feature_schema = false;  // payloads are held against the manifest's (feature_schemas.h)

  JsonValue ToJson() const;
  static Requirements FromJson(const JsonValue& json);
};

// Derives them; `sandbox` is the submitter's choice. INVALID_ARGUMENT "<code>: <why>" with the 422
// code of 14.2.
absl::StatusOr<Requirements> DeriveRequirements(const JsonValue& manifest, SandboxLevel sandbox,
                                                int64_t target);

enum class Fit { kFits, kSandbox, kFeature, kNoExecution, kModelMissing };
// The first requirement that the capabilities of the last heartbeat do not meet.
Fit CheckFit(const Requirements& requirements, const JsonValue& capabilities);

// Whether the worker reports that it is fetching a model that is needed (7.5): its assignment is
// then not stale.
bool DownloadsNeededModel(const Requirements& requirements, const JsonValue& capabilities);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_REQUIREMENTS_H_
