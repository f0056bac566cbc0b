// SPDX-License-Identifier: AGPL-3.0-only
// Receipts: the COSE_Sign1 envelopes of coordinator section 11, read and written. stated verifies
// with ParseReceipt, coordd issues with EncodeReceipt. Readers are strict and bounded; nothing
// throws. Pure functions, any thread.
#ifndef AUSPEX_COMMON_RECEIPT_RECEIPT_H_
#define AUSPEX_COMMON_RECEIPT_RECEIPT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace auspex {

// A body of 11.1.
struct Receipt {
  std::string version = "0.1";
  std::string tenant_id;
  std::string experiment_id;               // tenant's label
  std::string worker_pubkey;               // 32 octets
  std::vector<std::string> work_unit_ids;  // at least one
  std::string window_start, window_end;    // RFC 3339 text, as in the tag-0 items
  int64_t replication_factor = 0;
  int64_t agreeing_workers = 0;
  std::string method;  // reducer kind
  struct Anchor {
    int64_t rekor_log_index = 0;
    std::string rekor_entry_uuid;
    std::string result_sha256;  // 64 hex digits
  };
  std::vector<Anchor> anchors;
};

// A receipt whose envelope's signature verified under the key that the envelope names. That key
// must still be trusted by the caller (coordinator 11.4).
struct SignedReceipt {
  Receipt receipt;
  std::string signer_pubkey_hex;  // 64 lower-case hex digits
  std::string receipt_id;         // from the statement's subject; empty for a bare body
};

// Canonical CBOR of the body (RFC 7049 section 3.9).
std::string EncodeReceiptBody(const Receipt& receipt);
// The statement of 11.2 around it.
std::string EncodeStatement(std::string_view receipt_id, std::string_view body);
// The envelope of 11.3; `sign` gets the Sig_structure octets and returns 64 octets.
std::string EncodeEnvelope(std::string_view payload, std::string_view signer_pubkey_hex,
                           const std::function<std::string(std::string_view)>& sign);

// Largest envelope that is looked at, in octets.
inline constexpr size_t kMaxReceiptOctets = 128 * 1024;
// Parses and verifies. INVALID_ARGUMENT or DATA_LOSS with what is wrong: not canonical, unknown
// algorithm, bad signature, subject digest that does not fit the body, missing member, trailing
// octets.
absl::StatusOr<SignedReceipt> ParseReceipt(std::string_view untrusted_envelope);

}  // namespace auspex

#endif  // AUSPEX_COMMON_RECEIPT_RECEIPT_H_
