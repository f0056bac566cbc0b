// SPDX-License-Identifier: AGPL-3.0-only
// robustness-sweep: the executor of the package. One unit, {"epsilon": 0.1, "seed": 3}, is one
// point of the curve.
#include <vector>

#include "common/base/status_macros.h"
#include "examples/executor/executor.h"
#include "examples/robustness-sweep/digits.h"
#include "examples/robustness-sweep/sweep.h"

namespace {

// The working directory is the package.
constexpr char kDigits[] = "data/digits.csv";

absl::StatusOr<auspex::JsonObject> Compute(const auspex::ExecutorInput& input) {
  ASSIGN_OR_RETURN(auspex::sweep::Point point, auspex::sweep::ParsePoint(input.payload));
  ASSIGN_OR_RETURN(std::vector<auspex::sweep::Digit> digits, auspex::sweep::LoadDigits(kDigits));
  return auspex::sweep::ToPayload(auspex::sweep::Measure(point, std::move(digits)));
}

}  // namespace

int main(int argc, char** argv) { return auspex::RunExecutor(argc, argv, Compute); }
