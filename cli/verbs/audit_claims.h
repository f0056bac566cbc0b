// SPDX-License-Identifier: AGPL-3.0-only
// Claims: what somebody else's record says this worker has signed, as digests that are to be found
// in the journal. Reads results (the signed object or a whole submission), receipts, and what the
// worker's own store knows. Errors name the file. Pure over its input, one thread.
#ifndef AUSPEX_CLI_VERBS_AUDIT_CLAIMS_H_
#define AUSPEX_CLI_VERBS_AUDIT_CLAIMS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/journal/digest.h"

namespace auspex::cli {

// A record of something signed.
struct Claim {
  std::string source;             // what it was read from, for people
  std::vector<Digest32> digests;  // SHA-256 of octets that were signed; at least one
  bool result = false;            // they are results; else any signed octets
  // One of the digests is enough: a receipt names the results of all workers that agreed.
  bool receipt = false;
  std::optional<std::string> key;  // public key, 32 octets, that the record names as the signer
  // Whether the record brings a signature of that key over those octets, and it holds. A signature
  // that does not hold is no claim but an error.
  bool signature_holds = false;
  std::string receipt_signer;  // of a receipt: hex of the coordinator's key that signed it
};

// A result: the object of wire protocol 4.1 (the exact octets signed, or the same members in any
// spelling), or a submission (5.5) with its worker_signature. `signature_base64` replaces the one
// inside; may be empty. INVALID_ARGUMENT when it is none, DATA_LOSS when its signature does not
// hold.
absl::StatusOr<Claim> ClaimOfResult(std::string source, std::string_view untrusted_text,
                                    const std::string& signature_base64);
// A receipt's envelope (COSE), or the JSON of `receipts show`, which has it inside. DATA_LOSS when
// the coordinator's signature does not hold.
absl::StatusOr<Claim> ClaimOfReceipt(std::string source, std::string_view untrusted_octets);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_VERBS_AUDIT_CLAIMS_H_
