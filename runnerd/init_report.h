// SPDX-License-Identifier: AGPL-3.0-only
// Reads the report of auspex-unit-init (runnerd/init/protocol.h). Pure, any thread.
#ifndef AUSPEX_RUNNERD_INIT_REPORT_H_
#define AUSPEX_RUNNERD_INIT_REPORT_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace auspex::runnerd {

struct InitReport {
  enum class Kind {
    kNotStarted,  // not one octet: the sandbox was never finished
    kUnfinished,  // started, but the end is missing: the init was killed
    kExited,
    kSignaled,
    kFailed,  // as in protocol.h
    kWalls,   // the executor was not started since the layer `output` is missing
  };
  Kind kind = Kind::kNotStarted;
  std::string facts;    // of the first line, see attestation.h
  int number = 0;       // exit status, signal or errno; with too-many-files how many are allowed
  std::string output;   // the word for the output file
  std::string content;  // with output "ok"
};

// INVALID_ARGUMENT when the text is no report at all: that would be a fault of ours, since no
// tenant can write there.
absl::StatusOr<InitReport> ParseInitReport(std::string_view text);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_INIT_REPORT_H_
