// SPDX-License-Identifier: AGPL-3.0-only
// A finished unit's result as runnerd brings it: every field checked, its signature verified, and
// the body of 5.5 composed once. Pure functions, any thread.
#ifndef AUSPEX_STATED_COMPLETION_H_
#define AUSPEX_STATED_COMPLETION_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "stated/units.h"

namespace auspex::stated {

// The largest request body that a coordinator takes, in octets (wire protocol 1.1).
inline constexpr size_t kMaxBodyOctets = 2 * 1024 * 1024;

struct UntrustedCompletion {
  std::string_view assignment_id, completed_at, canonical_payload, ran_under, worker_pubkey,
      worker_signature, result_sha256, raw_response, raw_signature;
  int64_t exit_code = 0;
  uint32_t schema_version = 0;
  std::map<std::string, std::string> served_weights;
};

struct CheckedCompletion {
  std::string completed_at;
  int64_t exit_code = 0;
  std::string canonical_payload;
  std::string ran_under;
  std::string worker_pubkey;  // lower-case hex
  std::string signature;      // 64 octets
  std::string result_sha256;  // hex, of the signed canonical result
  std::string
      result_sha256_early;  // the same with ran_under "": what receipts before July 2026 anchor
  std::string body;         // exactly what is to be sent
};

// INVALID_ARGUMENT names the field. `public_key_hex` is this worker's key.
absl::StatusOr<CheckedCompletion> CheckCompletion(const UntrustedCompletion& untrusted,
                                                  const UnitRow& unit,
                                                  std::string_view public_key_hex);

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_COMPLETION_H_
