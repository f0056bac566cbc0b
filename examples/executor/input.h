// SPDX-License-Identifier: AGPL-3.0-only
// ExecutorInput: the input file of an executor (wire protocol, section 10), read strictly: exactly
// the seven members that the contract names, each of its type. Holds copies of everything; safe to
// read from any thread.
#ifndef AUSPEX_EXAMPLES_EXECUTOR_INPUT_H_
#define AUSPEX_EXAMPLES_EXECUTOR_INPUT_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/ids/ids.h"
#include "common/json/value.h"

namespace auspex {

struct ExecutorInput {
  UnitId unit_id;
  TenantId tenant_id;
  ExperimentLabel experiment_id;
  Sha256Hex manifest_sha256;
  std::string created_at;  // a timestamp, as written
  JsonObject payload;
};

// The largest input file that is read, in octets.
inline constexpr size_t kMaxInputOctets = 1 << 20;

// The input, or INVALID_ARGUMENT naming the member that is missing, unknown or of the wrong kind.
absl::StatusOr<ExecutorInput> ParseExecutorInput(std::string_view untrusted_text);

}  // namespace auspex

#endif  // AUSPEX_EXAMPLES_EXECUTOR_INPUT_H_
