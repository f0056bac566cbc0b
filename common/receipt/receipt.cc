// SPDX-License-Identifier: AGPL-3.0-only
#include "common/receipt/receipt.h"

#include "common/base/status_macros.h"
#include "common/receipt/body.h"
#include "common/receipt/cose.h"
#include "common/receipt/statement.h"

namespace auspex {

// The signature comes first: what is inside is looked at only when somebody vouched for it.
absl::StatusOr<SignedReceipt> ParseReceipt(std::string_view untrusted_envelope) {
  ASSIGN_OR_RETURN(OpenedEnvelope envelope, OpenEnvelope(untrusted_envelope));
  ASSIGN_OR_RETURN(Statement statement, ReadStatement(envelope.payload));
  ASSIGN_OR_RETURN(Receipt receipt, ReadReceiptBody(statement.body));
  return SignedReceipt{.receipt = std::move(receipt),
                       .signer_pubkey_hex = std::move(envelope.signer_pubkey_hex),
                       .receipt_id = std::move(statement.receipt_id)};
}

}  // namespace auspex
