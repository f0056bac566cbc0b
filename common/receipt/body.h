// SPDX-License-Identifier: AGPL-3.0-only
// The receipt map of coordinator 11.1, read. Pure functions, any thread.
#ifndef AUSPEX_COMMON_RECEIPT_BODY_H_
#define AUSPEX_COMMON_RECEIPT_BODY_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "common/receipt/receipt.h"

namespace auspex {

// The receipt, or INVALID_ARGUMENT naming the member that is missing, unknown or of the wrong type.
absl::StatusOr<Receipt> ReadReceiptBody(std::string_view untrusted_body);

}  // namespace auspex

#endif  // AUSPEX_COMMON_RECEIPT_BODY_H_
