// SPDX-License-Identifier: AGPL-3.0-only
// The COSE_Sign1 envelope of coordinator 11.3 (RFC 8152 section 4.2, untagged, Ed25519 only). Pure
// functions, any thread.
#ifndef AUSPEX_COMMON_RECEIPT_COSE_H_
#define AUSPEX_COMMON_RECEIPT_COSE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace auspex {

// An envelope whose signature verified under the key that it names, which proves no more than that.
struct OpenedEnvelope {
  std::string payload;
  std::string signer_pubkey_hex;  // 64 lower-case hex digits
};

// INVALID_ARGUMENT when it is not such an envelope; DATA_LOSS when the signature does not verify.
absl::StatusOr<OpenedEnvelope> OpenEnvelope(std::string_view untrusted_envelope);

}  // namespace auspex

#endif  // AUSPEX_COMMON_RECEIPT_COSE_H_
