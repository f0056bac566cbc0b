// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/retry.h"

#include <sodium/randombytes.h>

#include <algorithm>

namespace auspex::stated {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kLongest = 300 * kSecond;

}  // namespace

int64_t RetryDelayMicros(int64_t attempts, int64_t retry_after_seconds, double uniform) {
  // 2^9 seconds are above the longest delay already.
  const int64_t doublings = std::clamp<int64_t>(attempts - 1, 0, 9);
  const int64_t delay = std::min(kLongest, kSecond << doublings);
  const auto jittered = static_cast<int64_t>(static_cast<double>(delay) * (0.8 + 0.4 * uniform));
  return std::max(jittered,
                  std::clamp<int64_t>(retry_after_seconds, 0, kMaxRetryAfterSeconds) * kSecond);
}

double RandomUniform() { return randombytes_random() / 4294967296.0; }

}  // namespace auspex::stated
