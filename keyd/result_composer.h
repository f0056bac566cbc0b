// SPDX-License-Identifier: AGPL-3.0-only
// From the fields of a unit's result to the octets that are signed (wire protocol, 4.1 to 4.3). The
// payload is scanned, not interpreted: no value is built from it. Pure functions, safe from any
// thread.
#ifndef AUSPEX_KEYD_RESULT_COMPOSER_H_
#define AUSPEX_KEYD_RESULT_COMPOSER_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace auspex::keyd {

inline constexpr size_t kMaxPayloadOctets = 1536 * 1024;
inline constexpr size_t kMaxPayloadDepth = 128;
inline constexpr size_t kMaxServedWeights = 16;

struct UntrustedResult {
  std::string unit_id, assignment_id, completed_at;
  int64_t exit_code = 0;
  std::string canonical_payload;
  uint32_t schema_version = 2;
  std::map<std::string, std::string> served_weights;
  std::string ran_under;
};

struct UntrustedRawText {
  std::string unit_id, assignment_id;
  std::string raw_sha256;  // 32 octets
};

struct ComposedResult {
  std::string octets;   // what is signed
  std::string subject;  // assignment id
  std::string unit;
};

// INVALID_ARGUMENT "<field>: <why>" for a field that is not of its kind or over its bounds.
absl::StatusOr<ComposedResult> ComposeResult(const UntrustedResult& result,
                                             const std::string& public_key_hex);
absl::StatusOr<ComposedResult> ComposeRawText(const UntrustedRawText& raw,
                                              const std::string& public_key_hex);

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_RESULT_COMPOSER_H_
