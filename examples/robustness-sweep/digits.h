// SPDX-License-Identifier: AGPL-3.0-only
// The data set of the package: images of handwritten digits (data/ATTRIBUTION says whose). Plain
// values; the functions are safe from any thread.
#ifndef AUSPEX_EXAMPLES_ROBUSTNESS_SWEEP_DIGITS_H_
#define AUSPEX_EXAMPLES_ROBUSTNESS_SWEEP_DIGITS_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace auspex::sweep {

inline constexpr int kPixels = 64;
inline constexpr int kClasses = 10;

using Image = std::array<double, kPixels>;  // each pixel in [0, 1]

struct Digit {
  Image pixels;
  int label = 0;  // 0 to 9
};

struct Split {
  std::vector<Digit> train;
  std::vector<Digit> test;
};

// Reads lines of 64 pixels (0 to 16) and a label. INVALID_ARGUMENT "digits: line N: ..." for
// anything else.
absl::StatusOr<std::vector<Digit>> ParseDigits(std::string_view text);
// ParseDigits of a file of at most 1 MiB; NOT_FOUND when it cannot be read.
absl::StatusOr<std::vector<Digit>> LoadDigits(const std::string& path);
// Shuffles by `seed` and keeps the last third for testing.
Split SplitDigits(std::vector<Digit> digits, uint64_t seed);

}  // namespace auspex::sweep

#endif  // AUSPEX_EXAMPLES_ROBUSTNESS_SWEEP_DIGITS_H_
