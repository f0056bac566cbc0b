// SPDX-License-Identifier: AGPL-3.0-only
// The signed objects of wire protocol 4.1 to 4.3 in their canonical octets. Pure functions, any
// thread.
#ifndef AUSPEX_COMMON_WIRE_RESULT_H_
#define AUSPEX_COMMON_WIRE_RESULT_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace auspex {

// Members of a result, as 4.1 lists them. Text that is not checked here (unit id, completed_at) is
// taken as it is, since vectors test odd values; keyd and coordd validate before.
struct ResultFields {
  std::string unit_id;
  std::string worker_pubkey;  // any case; lower-cased
  std::string completed_at;
  int64_t exit_code = 0;
  std::string canonical_payload;                      // one canonical JSON object
  int schema_version = 2;                             // 0, 1 or 2
  std::map<std::string, std::string> served_weights;  // model id -> digest; digests lower-cased
  std::string ran_under;                              // lower-cased
};

// The octets that worker_signature signs. INVALID_ARGUMENT when schema_version is not 0, 1 or 2.
absl::StatusOr<std::string> CanonicalResult(const ResultFields& fields);

// The octets that raw_signature signs (4.3). INVALID_ARGUMENT when `raw_text` is not UTF-8.
absl::StatusOr<std::string> CanonicalRawText(std::string_view unit_id,
                                             std::string_view worker_pubkey,
                                             std::string_view raw_text);
// The same from the text's SHA-256 (64 hex digits).
std::string CanonicalRawTextOfDigest(std::string_view unit_id, std::string_view worker_pubkey,
                                     std::string_view raw_sha256_hex);

// SHA-256 (hex) of the canonical JSON of {exit_code, payload}: what replicas are compared by
// (coordinator section 10).
std::string SemanticHash(int64_t exit_code, std::string_view canonical_payload);

}  // namespace auspex

#endif  // AUSPEX_COMMON_WIRE_RESULT_H_
