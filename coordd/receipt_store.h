// SPDX-License-Identifier: AGPL-3.0-only
// Issuing receipts (coordinator section 11). Called inside a request's savepoint. Single-threaded.
#ifndef AUSPEX_COORDD_RECEIPT_STORE_H_
#define AUSPEX_COORDD_RECEIPT_STORE_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "coordd/experiment_store.h"
#include "coordd/quorum.h"
#include "coordd/services.h"

namespace auspex::coordd {

// What stands in a receipt's anchors while there is no transparency log (12.2).
inline constexpr std::string_view kNoRekor = "lab-mode-no-rekor";

// One receipt for each result that the verdict has inside.
void IssueReceipts(Services& services, const ExperimentRow& experiment, int64_t unit,
                   int64_t target, const std::vector<ReplicaResult>& results,
                   const Verdict& verdict, int64_t now);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_RECEIPT_STORE_H_
