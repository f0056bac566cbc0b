// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/lab/verify.h"

#include <algorithm>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"
#include "common/receipt/receipt.h"

namespace auspex::cli::lab {
namespace {

constexpr uint32_t kMostResults = 100'000;

absl::Status VerifyResult(const stated_v1::Result& result, const std::string& receipt_key,
                          const std::string& worker_key) {
  auto wrong = [&result](std::string_view why) {
    return absl::DataLossError(
        Cat("receipt of unit ", result.unit_id(), " (result ", result.result_id(), "): ", why));
  };
  if (result.receipt_status() != "canonical") {
    return wrong(Cat("stated holds it as ", result.receipt_status(), " ", result.receipt_note()));
  }
  const absl::StatusOr<SignedReceipt> receipt = ParseReceipt(result.canonical_blob());
  if (!receipt.ok()) return wrong(std::string(receipt.status().message()));
  if (receipt->signer_pubkey_hex != receipt_key)
    return wrong("signed by another key than the coordinator's");
  if (HexEncode(receipt->receipt.worker_pubkey) != worker_key)
    return wrong("issued to another worker");
  const auto& units = receipt->receipt.work_unit_ids;
  if (std::find(units.begin(), units.end(), result.unit_id()) == units.end())
    return wrong("is about another unit");
  const auto& anchors = receipt->receipt.anchors;
  const bool ours =
      std::any_of(anchors.begin(), anchors.end(), [&result](const Receipt::Anchor& anchor) {
        return anchor.result_sha256 == result.result_sha256();
      });
  return ours ? absl::OkStatus() : wrong("does not name the digest of the result");
}

}  // namespace

absl::StatusOr<WorkerProof> VerifyWorker(Clients& clients, const std::string& receipt_key) {
  ASSIGN_OR_RETURN(const stated_v1::Status status, clients.WorkerStatus());
  ASSIGN_OR_RETURN(const keyd_v1::KeyStatus key, clients.KeyStatus());
  WorkerProof proof;
  proof.worker_id = status.identity().worker_id();
  proof.public_key_hex = status.identity().public_key_hex();
  proof.journal_path = key.journal_path();
  proof.journal_records = key.journal_records();
  proof.signatures = key.signatures();
  stated_v1::ListResultsRequest request;
  request.set_limit(kMostResults);
  ASSIGN_OR_RETURN(const stated_v1::ListResultsResponse results, clients.ListResults(request));
  for (const stated_v1::Result& listed : results.results()) {
    ASSIGN_OR_RETURN(const stated_v1::Result result, clients.GetResult(listed.result_id()));
    RETURN_IF_ERROR(VerifyResult(result, receipt_key, proof.public_key_hex));
    ++proof.results;
    ++proof.receipts_verified;
  }
  return proof;
}

}  // namespace auspex::cli::lab
