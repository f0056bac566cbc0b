// SPDX-License-Identifier: AGPL-3.0-only
// One point of the sweep: train on two thirds of the digits, attack the network on the last third,
// count. Pure functions, safe from any thread.
#ifndef AUSPEX_EXAMPLES_ROBUSTNESS_SWEEP_SWEEP_H_
#define AUSPEX_EXAMPLES_ROBUSTNESS_SWEEP_SWEEP_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/json/value.h"
#include "examples/robustness-sweep/digits.h"

namespace auspex::sweep {

struct Point {
  double epsilon = 0.0;  // size of the perturbation of each pixel, 0 to 1
  int64_t seed = 0;  // of the split, the initial weights and the order of training; not negative
};

struct Measurement {
  Point point;
  int total = 0;          // test images
  int clean_correct = 0;  // of them classified rightly as they are,
  int noise_correct = 0;  // with random noise of size epsilon,
  int correct = 0;        // and under attack
};

// The point that a unit's payload names. INVALID_ARGUMENT naming the member that is missing,
// unknown or wrong.
absl::StatusOr<Point> ParsePoint(const JsonObject& untrusted_payload);
// Trains and measures; about a twentieth of a second.
Measurement Measure(const Point& point, std::vector<Digit> digits);
// The result's payload: accuracy, clean_accuracy, noise_accuracy (0 to 1), correct, total, epsilon,
// seed.
JsonObject ToPayload(const Measurement& measurement);

}  // namespace auspex::sweep

#endif  // AUSPEX_EXAMPLES_ROBUSTNESS_SWEEP_SWEEP_H_
