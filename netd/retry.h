// SPDX-License-Identifier: AGPL-3.0-only
// When to try again: jitter, exponential backoff, and what a coordinator says in Retry-After.
// Values; Backoff belongs to one thread.
#ifndef AUSPEX_NETD_RETRY_H_
#define AUSPEX_NETD_RETRY_H_

#include <cstdint>

#include "common/http/http_message.h"

namespace auspex {

// Longest Retry-After that is believed, in seconds: a coordinator must not be able to switch a
// worker off for good.
inline constexpr uint32_t kMaxRetryAfterSeconds = 3600;

// Seconds of the Retry-After of a 429 or 503 (a number or an IMF-fixdate, RFC 9110 section 10.2.3),
// at most kMaxRetryAfterSeconds; 0 when there is none, it cannot be read, lies in the past, or the
// status is another.
uint32_t RetryAfterSeconds(const HttpResponse& response, int64_t now_unix);

// `seconds` changed at random by up to `fraction` of itself either way; never negative.
double Jitter(double seconds, double fraction);
// Evenly spread over 0..`seconds`.
double RandomUpTo(double seconds);

// Delays that double from `first` to `cap` seconds while things fail, each with a jitter of a
// quarter.
class Backoff {
 public:
  Backoff(double first, double cap) : first_(first), cap_(cap < first ? first : cap) {}
  // The delay after one more failure, at least `at_least` seconds.
  double Next(double at_least = 0);
  void Reset() { failures_ = 0; }

 private:
  const double first_, cap_;
  int failures_ = 0;
};

// For polls every `interval_seconds`: failures slow them down to a quarter of their pace and no
// further. The existing worker does not slow down at all, and who polls often means to notice soon
// that the trouble is over. Never above 300 s, unless the interval itself is.
Backoff PollBackoff(double interval_seconds);

}  // namespace auspex

#endif  // AUSPEX_NETD_RETRY_H_
