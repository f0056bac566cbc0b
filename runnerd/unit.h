// SPDX-License-Identifier: AGPL-3.0-only
// The words that runnerd's parts share about a unit: what it is, and the ways in which it can end.
// Plain values, any thread.
#ifndef AUSPEX_RUNNERD_UNIT_H_
#define AUSPEX_RUNNERD_UNIT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/ids/ids.h"
#include "common/wire/refusal.h"

namespace auspex::runnerd {

// A unit as stated hands it out, every text parsed.
struct Unit {
  AssignmentId assignment_id;
  UnitId unit_id;
  TenantId tenant_id;
  ExperimentLabel experiment_label;
  Sha256Hex manifest_sha256;
  std::string created_at;         // ISO 8601, for the executor
  std::string canonical_payload;  // one canonical JSON object
  bool sensitive_accepted = false;
  std::vector<std::string> devices;  // nodes below /dev that its executor may open at most
};

// The unit is not done; the coordinator is told why.
struct Refusal {
  RefusalKind kind = RefusalKind::kRunnerFailed;
  std::string reason;
};

// What a unit brought, before it is signed.
struct UnitResult {
  std::string completed_at;                 // form of wire protocol 4.2
  int32_t exit_code = 0;                    // -255..255
  std::string canonical_payload;            // without raw_response
  std::string ran_under;                    // "strict" or "permissive": what was really in force
  std::optional<std::string> raw_response;  // UTF-8, when the manifest asks for its capture
};

// A result with its signatures.
struct SignedResult {
  UnitResult result;
  std::string worker_pubkey;  // 64 hex digits
  std::string signature;      // 64 octets
  std::string result_sha256;  // 32 octets
  std::string raw_signature;  // 64 octets with raw_response, else empty
};

// Nothing is to be reported: stated withdrew the unit, or this process stops and stated hands it
// out again.
struct Withdrawn {};

using UnitOutcome = std::variant<SignedResult, Refusal, Withdrawn>;

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_UNIT_H_
