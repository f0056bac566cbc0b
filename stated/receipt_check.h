// SPDX-License-Identifier: AGPL-3.0-only
// Which receipts count (promise P15): the checks of coordinator 11.4 against the result that this
// worker signed, and the receipt's columns of results. Plain functions over an open Connection.
#ifndef AUSPEX_STATED_RECEIPT_CHECK_H_
#define AUSPEX_STATED_RECEIPT_CHECK_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stated/context.h"
#include "stated/sqlite.h"

namespace auspex::stated {

// The key on the public network's published roster, and the address of the coordinator that it
// belongs to.
inline constexpr std::string_view kPublicCoordinator = "https://coord.auspexai.network";
inline constexpr std::string_view kPublicSigner =
    "13c3b143c995764663e1016668cb7d8d24f4497fdc18d3f24b54a9a7529df453";
inline constexpr std::string_view kReceiptFormat = "cose-sign1-cbor-receipt-v0.1";

// The numbers are stored in results.receipt_status; never reuse one.
enum class ReceiptStatus : int {
  kNotSubmitted = 0,
  kPlaceholder = 1,
  kCanonical = 2,
  kNone = 3,
  kBad = 4,
  kTerminal = 5,  // the result itself was not taken
};
// "placeholder", "canonical", "no_receipt", "bad"; "not_submitted", "terminal".
std::string_view ReceiptStatusWord(ReceiptStatus status);

struct ReceiptVerdict {
  bool good = false;
  std::string why;     // when not good; printable
  std::string signer;  // hex
  int64_t agreeing_workers = 0;
};
// Judges `untrusted_cose` as the receipt of the result of `assignment_id`. Pins the signer of a
// first good receipt from a coordinator without a roster. An error only when the database fails; a
// bad receipt is a verdict.
absl::StatusOr<ReceiptVerdict> JudgeReceipt(Connection& db, std::string_view assignment_id,
                                            std::string_view untrusted_cose,
                                            const Settings& settings, int64_t now);

// Stores a good receipt: status canonical.
absl::Status StoreReceipt(Connection& db, std::string_view assignment_id, std::string_view cose,
                          const ReceiptVerdict& verdict, int64_t now);
// Sets kNone or kBad with a note, unless a good receipt is stored: then false.
absl::StatusOr<bool> MarkReceipt(Connection& db, std::string_view assignment_id,
                                 ReceiptStatus status, std::string_view note);

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_RECEIPT_CHECK_H_
