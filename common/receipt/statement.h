// SPDX-License-Identifier: AGPL-3.0-only
// The in-toto statement of coordinator 11.2, read. Pure functions, any thread.
#ifndef AUSPEX_COMMON_RECEIPT_STATEMENT_H_
#define AUSPEX_COMMON_RECEIPT_STATEMENT_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace auspex {

struct Statement {
  std::string
      receipt_id;    // from the subject's name; a ReceiptId. Empty when the payload is a bare body
  std::string body;  // the octets of the receipt map
};

// Takes the payload of an envelope: a statement whose subject digest fits its predicate, or a bare
// body (from before the statement existed), which is handed on as it is. INVALID_ARGUMENT when it
// is neither; DATA_LOSS when the digest does not fit.
absl::StatusOr<Statement> ReadStatement(std::string_view untrusted_payload);

}  // namespace auspex

#endif  // AUSPEX_COMMON_RECEIPT_STATEMENT_H_
