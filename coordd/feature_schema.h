// SPDX-License-Identifier: AGPL-3.0-only
// FeatureSchema: what a manifest's `feature_schema` says about the payloads of its results
// (docs/formats/feature-schema.md). A payload conforms when every leaf of it is declared, every
// declared path is there, and each value is of its kind and inside its bounds (coordinator 8.1,
// step 10). Made by Parse only, never changes afterwards, may be used from any thread and copied
// at the cost of a pointer. Both calls are bounded: Parse by the limits below, Check by the size
// of the payload.
#ifndef AUSPEX_COORDD_FEATURE_SCHEMA_H_
#define AUSPEX_COORDD_FEATURE_SCHEMA_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/json/value.h"

namespace auspex::coordd {

inline constexpr size_t kMaxFeatures = 256;
inline constexpr size_t kMaxFeaturePathOctets = 256;
inline constexpr size_t kMaxFeatureDepth = 16;        // names and "[]" of one path
inline constexpr int64_t kMaxFeatureItems = 100'000;  // also the bound of an array that states none
inline constexpr int64_t kMaxFeatureCharacters = 65'536;
inline constexpr int64_t kDefaultFeatureCharacters = 1'024;

class FeatureSchema {
 public:
  // Reads the manifest's member. INVALID_ARGUMENT naming the feature and the cause, a crossed limit
  // too.
  static absl::StatusOr<FeatureSchema> Parse(const JsonValue& untrusted_schema);

  // OK, or FAILED_PRECONDITION "payload: <path>: <cause>" for the first fault in order of names.
  absl::Status Check(const JsonValue& untrusted_payload) const;

  struct Node;

 private:
  explicit FeatureSchema(std::shared_ptr<const Node> root) : root_(std::move(root)) {}
  std::shared_ptr<const Node> root_;
};

// Whether a manifest of this `schema_version` ("0.N", absent counts as "0.1") may hold a
// feature_schema: from 0.3 on.
bool VersionHasFeatureSchema(const std::string* untrusted_version);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_FEATURE_SCHEMA_H_
