// SPDX-License-Identifier: AGPL-3.0-only
// A staged tenant package, packed: the folder's files as a .tar.gz in memory and its manifest with
// the digest of exactly these files filled in. Reads files only.
#ifndef AUSPEX_CLI_LAB_PACKAGE_H_
#define AUSPEX_CLI_LAB_PACKAGE_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/json/value.h"

namespace auspex::cli::lab {

struct PackedExperiment {
  JsonValue manifest;  // with executor.package_sha256
  std::string tar_gz;  // every file but the manifest
  std::string name;    // manifest's experiment_id
};

// Packs the folder `path`: manifest.json and at most 1000 regular files of at most 64 MiB together;
// links and special files are errors. INVALID_ARGUMENT, NOT_FOUND or RESOURCE_EXHAUSTED naming the
// file.
absl::StatusOr<PackedExperiment> PackExperiment(const std::string& path);

// The folder of an example that was staged or installed with this program. NOT_FOUND names the
// places.
absl::StatusOr<std::string> FindExample(const std::string& name);

}  // namespace auspex::cli::lab

#endif  // AUSPEX_CLI_LAB_PACKAGE_H_
