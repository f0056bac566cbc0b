// SPDX-License-Identifier: AGPL-3.0-only
// The lab's own check of what a worker holds: every receipt is parsed and verified again, apart
// from stated's word for it.
#ifndef AUSPEX_CLI_LAB_VERIFY_H_
#define AUSPEX_CLI_LAB_VERIFY_H_

#include <string>

#include "absl/status/statusor.h"
#include "cli/clients.h"

namespace auspex::cli::lab {

struct WorkerProof {
  std::string worker_id, public_key_hex;
  int64_t results = 0;
  int64_t receipts_verified = 0;
  std::string journal_path;
  uint64_t journal_records = 0, signatures = 0;
};

// DATA_LOSS naming the result whose receipt is missing, is not signed by `receipt_key`, or does not
// name this worker's key and the digest of this result.
absl::StatusOr<WorkerProof> VerifyWorker(Clients& clients, const std::string& receipt_key);

}  // namespace auspex::cli::lab

#endif  // AUSPEX_CLI_LAB_VERIFY_H_
