// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/receipt_check.h"

#include <algorithm>
#include <optional>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"
#include "common/receipt/receipt.h"
#include "common/wire/refusal.h"
#include "stated/identity.h"
#include "stated/units.h"

namespace auspex::stated {
namespace {

struct OurResult {
  std::string unit_id, worker_pubkey, result_sha256, result_sha256_early;
};

absl::StatusOr<OurResult> FindResult(Connection& db, std::string_view assignment_id) {
  Statement row(db,
                "SELECT unit_id, worker_pubkey, result_sha256, result_sha256_early FROM results"
                " WHERE assignment_id = ?",
                assignment_id);
  ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found)
    return absl::NotFoundError(Cat("assignment ", assignment_id, ": no result is stored"));
  return OurResult{row.Text(0), row.Text(1), row.Text(2), row.Text(3)};
}

// Empty when the receipt is about our result, else why not.
std::string WhyNotOurs(const Receipt& receipt, const OurResult& ours) {
  if (HexEncode(receipt.worker_pubkey) != ours.worker_pubkey) {
    return Cat("it is for the key ", HexEncode(receipt.worker_pubkey), ", not ours");
  }
  const auto& units = receipt.work_unit_ids;
  if (std::find(units.begin(), units.end(), ours.unit_id) == units.end()) {
    return Cat("it does not name unit ", ours.unit_id);
  }
  for (const Receipt::Anchor& anchor : receipt.anchors) {
    if (anchor.result_sha256 == ours.result_sha256 ||
        anchor.result_sha256 == ours.result_sha256_early) {
      return "";
    }
  }
  return Cat("none of its ", receipt.anchors.size(), " anchors is the digest of our result");
}

absl::StatusOr<std::optional<std::string>> PinnedSigner(Connection& db, std::string_view base_url) {
  Statement row(db, "SELECT public_key_hex FROM receipt_signers WHERE base_url = ?", base_url);
  ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return std::optional<std::string>();
  return std::optional<std::string>(row.Text(0));
}

// Empty when `signer` may sign receipts of this worker's coordinator.
absl::StatusOr<std::string> WhyNotTrusted(Connection& db, std::string_view signer,
                                          std::string_view base_url, const Settings& settings,
                                          int64_t now) {
  const auto differs = [&](std::string_view expected, std::string_view source) {
    return Cat("it is signed by ", signer, "; ", source, " says ", expected);
  };
  if (!settings.receipt_signer_pubkey.empty()) {
    if (signer == settings.receipt_signer_pubkey) return std::string();
    return differs(settings.receipt_signer_pubkey, "the configuration");
  }
  if (base_url == kPublicCoordinator) {
    if (signer == kPublicSigner) return std::string();
    return differs(kPublicSigner, "the published roster");
  }
  ASSIGN_OR_RETURN(const std::optional<std::string> pinned, PinnedSigner(db, base_url));
  if (pinned.has_value()) {
    if (signer == *pinned) return std::string();
    return differs(*pinned, "the first receipt of this coordinator");
  }
  RETURN_IF_ERROR(
      Statement(
          db, "INSERT INTO receipt_signers (base_url, public_key_hex, pinned_at) VALUES (?, ?, ?)",
          base_url, signer, now)
          .Run());
  return std::string();
}

absl::StatusOr<ReceiptStatus> StatusOf(Connection& db, std::string_view assignment_id) {
  Statement row(db, "SELECT receipt_status FROM results WHERE assignment_id = ?", assignment_id);
  ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found)
    return absl::NotFoundError(Cat("assignment ", assignment_id, ": no result is stored"));
  return static_cast<ReceiptStatus>(row.Int(0));
}

std::optional<Counter> CounterOf(ReceiptStatus status) {
  switch (status) {
    case ReceiptStatus::kPlaceholder:
      return Counter::kReceiptsPlaceholder;
    case ReceiptStatus::kCanonical:
      return Counter::kReceiptsCanonical;
    case ReceiptStatus::kNone:
      return Counter::kReceiptsNone;
    case ReceiptStatus::kBad:
      return Counter::kReceiptsBad;
    default:
      return std::nullopt;
  }
}

absl::Status MoveCount(Connection& db, ReceiptStatus from, ReceiptStatus to) {
  if (const std::optional<Counter> counter = CounterOf(from))
    RETURN_IF_ERROR(AddTo(db, *counter, -1));
  if (const std::optional<Counter> counter = CounterOf(to)) RETURN_IF_ERROR(AddTo(db, *counter, 1));
  return absl::OkStatus();
}

}  // namespace

std::string_view ReceiptStatusWord(ReceiptStatus status) {
  switch (status) {
    case ReceiptStatus::kNotSubmitted:
      return "not_submitted";
    case ReceiptStatus::kPlaceholder:
      return "placeholder";
    case ReceiptStatus::kCanonical:
      return "canonical";
    case ReceiptStatus::kNone:
      return "no_receipt";
    case ReceiptStatus::kBad:
      return "bad";
    case ReceiptStatus::kTerminal:
      return "terminal";
  }
  return "";
}

absl::StatusOr<ReceiptVerdict> JudgeReceipt(Connection& db, std::string_view assignment_id,
                                            std::string_view untrusted_cose,
                                            const Settings& settings, int64_t now) {
  ReceiptVerdict verdict;
  const absl::StatusOr<SignedReceipt> parsed = ParseReceipt(untrusted_cose);
  if (!parsed.ok()) {
    verdict.why = CleanReason(std::string(parsed.status().message()));
    return verdict;
  }
  ASSIGN_OR_RETURN(const OurResult ours, FindResult(db, assignment_id));
  ASSIGN_OR_RETURN(const Identity identity, RequireIdentity(db));
  verdict.signer = parsed->signer_pubkey_hex;
  verdict.agreeing_workers = parsed->receipt.agreeing_workers;
  verdict.why = CleanReason(WhyNotOurs(parsed->receipt, ours));
  if (verdict.why.empty()) {
    ASSIGN_OR_RETURN(verdict.why,
                     WhyNotTrusted(db, verdict.signer, identity.base_url, settings, now));
  }
  verdict.good = verdict.why.empty();
  return verdict;
}

absl::Status StoreReceipt(Connection& db, std::string_view assignment_id, std::string_view cose,
                          const ReceiptVerdict& verdict, int64_t now) {
  ASSIGN_OR_RETURN(const ReceiptStatus before, StatusOf(db, assignment_id));
  RETURN_IF_ERROR(
      Statement(db,
                "UPDATE results SET receipt_status = 2, receipt_note = '', receipt_signer = ?,"
                " receipt_fetched_at = ?, agreeing_workers = ?, receipt = ?"
                " WHERE assignment_id = ?",
                verdict.signer, now, verdict.agreeing_workers, Blob{cose}, assignment_id)
          .Run());
  return MoveCount(db, before, ReceiptStatus::kCanonical);
}

absl::StatusOr<bool> MarkReceipt(Connection& db, std::string_view assignment_id,
                                 ReceiptStatus status, std::string_view note) {
  ASSIGN_OR_RETURN(const ReceiptStatus before, StatusOf(db, assignment_id));
  if (before == ReceiptStatus::kCanonical) return false;
  RETURN_IF_ERROR(
      Statement(db,
                "UPDATE results SET receipt_status = ?, receipt_note = ? WHERE assignment_id = ?",
                static_cast<int>(status), note, assignment_id)
          .Run());
  RETURN_IF_ERROR(MoveCount(db, before, status));
  return true;
}

}  // namespace auspex::stated
