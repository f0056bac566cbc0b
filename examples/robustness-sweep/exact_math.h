// SPDX-License-Identifier: AGPL-3.0-only
// Numbers that come out the same, bit for bit, on every replica: a generator of our own and an
// exponential made of IEEE 754 additions and multiplications only. A C library's exp differs
// between versions and, by run-time dispatch, between processors. Random is not thread-safe; Exp is
// a pure function.
#ifndef AUSPEX_EXAMPLES_ROBUSTNESS_SWEEP_EXACT_MATH_H_
#define AUSPEX_EXAMPLES_ROBUSTNESS_SWEEP_EXACT_MATH_H_

#include <bit>
#include <cstdint>

namespace auspex::sweep {

// SplitMix64 (Steele, Lea and Flood 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // Uniform in [-1, 1), a multiple of 2^-52.
  double Symmetric() { return static_cast<double>(Next() >> 11) * 0x1p-52 - 1.0; }
  // Uniform in [0, bound), bound of 1 to 2^32. The bias, below bound / 2^64, does not matter here.
  uint32_t Below(uint32_t bound) {
    return static_cast<uint32_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
  }

 private:
  uint64_t state_;
};

// e^x to about 1e-15 relative for x in [-700, 700]; arguments outside are taken as the nearest end.
inline double Exp(double x) {
  if (x < -700.0) x = -700.0;
  if (x > 700.0) x = 700.0;
  // x = k ln 2 + r with |r| <= ln 2 / 2; ln 2 in two parts, so that k times the first is exact.
  const double scaled = x * 1.4426950408889634;
  const int64_t k = static_cast<int64_t>(scaled + (scaled < 0 ? -0.5 : 0.5));
  const double kd = static_cast<double>(k);
  const double r = (x - kd * 0x1.62e42feep-1) - kd * 0x1.a39ef35793c76p-33;
  // The Taylor polynomial to r^13 by Horner's rule: its remainder is below 1e-17 for such r.
  double sum = 1.0;
  for (int n = 13; n >= 1; --n) sum = 1.0 + sum * r / n;
  return sum * std::bit_cast<double>(static_cast<uint64_t>(k + 1023) << 52);
}

}  // namespace auspex::sweep

#endif  // AUSPEX_EXAMPLES_ROBUSTNESS_SWEEP_EXACT_MATH_H_
