// SPDX-License-Identifier: AGPL-3.0-only
// The units of the lab's experiment, and what comes back, gathered by epsilon. Pure functions, safe
// from any thread.
#ifndef AUSPEX_CLI_LAB_GRID_H_
#define AUSPEX_CLI_LAB_GRID_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/json/value.h"

namespace auspex::cli::lab {

struct LabUnit {
  std::string unit_id;  // "u-0007"
  double epsilon = 0;   // 0 to 0.3
  int64_t seed = 0;
};

// `count` units (1 or more): epsilons from 0 to 0.3 in equal steps, each with about as many seeds;
// about 1.6 times as many epsilons as seeds, at most 13. No point occurs twice.
std::vector<LabUnit> MakeUnits(int count);

// What one unit measured: shares from 0 to 1.
struct Measured {
  double epsilon = 0;
  double accuracy = 0;        // under attack
  double noise_accuracy = 0;  // under noise of the same size
};

// Reads a result's payload. INVALID_ARGUMENT naming the member that is missing.
absl::StatusOr<Measured> ReadMeasured(const JsonValue& untrusted_payload);

// All units of one epsilon.
struct CurvePoint {
  double epsilon = 0;
  int units = 0;
  double mean = 0, lowest = 0, highest = 0;  // accuracy under attack
  double noise_mean = 0;
};

// One point per epsilon, in rising order.
std::vector<CurvePoint> Gather(const std::vector<Measured>& measured);

}  // namespace auspex::cli::lab

#endif  // AUSPEX_CLI_LAB_GRID_H_
