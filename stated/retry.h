// SPDX-License-Identifier: AGPL-3.0-only
// When an outbox item that was not settled for good is tried again. Pure functions, any thread.
#ifndef AUSPEX_STATED_RETRY_H_
#define AUSPEX_STATED_RETRY_H_

#include <cstdint>

namespace auspex::stated {

// A result or refusal that failed this often is terminal (wire protocol 9.3). Receipts have no such
// end.
inline constexpr int64_t kMaxAttempts = 100;
// A receipt that did not verify is fetched again at most until its item has this many attempts.
inline constexpr int64_t kMaxBadReceipts = 20;
// The first question for a receipt comes this long after its result was taken.
inline constexpr int64_t kFirstReceiptDelayMicros = 200'000;
// A coordinator's Retry-After is honoured up to a day.
inline constexpr int64_t kMaxRetryAfterSeconds = 86'400;

// Microseconds to wait after attempt number `attempts` (from 1): 1 s, 2 s, 4 s ... 300 s, each
// changed by up to 20 % as `uniform` (0 to 1) says, so that many workers do not stay in step; at
// least `retry_after_seconds`.
int64_t RetryDelayMicros(int64_t attempts, int64_t retry_after_seconds, double uniform);

// A random number in [0, 1).
double RandomUniform();

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_RETRY_H_
