// SPDX-License-Identifier: AGPL-3.0-only
// Manifests and package digests (wire protocol 4.4, 4.5). Pure functions, any thread.
#ifndef AUSPEX_COMMON_WIRE_MANIFEST_H_
#define AUSPEX_COMMON_WIRE_MANIFEST_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/ids/ids.h"
#include "common/json/value.h"

namespace auspex {

// What the worker reads of a manifest.
struct Manifest {
  Sha256Hex sha256;  // of the whole object's canonical JSON
  TenantId tenant_id;
  ExperimentLabel experiment_id;
  std::vector<std::string> command;                // executor.command; not empty
  std::optional<Sha256Hex> package_sha256;         // executor.package_sha256
  std::vector<std::string> sensitive_flags;        // sensitive_content_flags, string elements
  bool capture_raw = false;                        // capture.raw
  std::optional<std::string> serving_version_pin;  // inference_determinism.serving_version_pin
  struct Model {
    std::string id;  // as written; not yet a ModelId
    bool local_weights_required = false;
  };
  std::vector<Model> models;
};

// SHA-256 of the canonical JSON of `manifest` (4.4).
Sha256Hex ManifestSha256(const JsonValue& manifest);
// Reads manifest.json (at most 1 MiB). INVALID_ARGUMENT names the member that is missing or of the
// wrong type.
absl::StatusOr<Manifest> ParseManifest(std::string_view untrusted_text);

// The digest of 4.5 over relative path -> SHA-256 hex of the content. Leaves out what the rule
// leaves out; sorts by component.
Sha256Hex PackageDigest(const std::map<std::string, std::string>& sha256_by_path);

}  // namespace auspex

#endif  // AUSPEX_COMMON_WIRE_MANIFEST_H_
