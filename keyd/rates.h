// SPDX-License-Identifier: AGPL-3.0-only
// Rates: how often each intent may be asked for. One token bucket an intent on the clock that nobody
// sets: `burst` at once, `per_second` for longer. The defaults (rates.cc) are well above what a
// worker does, so that only a caller that went wrong meets them; the owner's [keyd.rates] replaces
// them one by one. Safe from any thread; `clock` outlives the object.
#ifndef AUSPEX_KEYD_RATES_H_
#define AUSPEX_KEYD_RATES_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/config/config.h"
#include "common/journal/intent.h"

namespace auspex::keyd {

class Rates {
 public:
  using Overrides = std::map<std::string, SigningRate, std::less<>>;

  // The built-in rate of every intent, replaced where `overrides` names its word (IntentWord).
  // INVALID_ARGUMENT naming the words that there are when it names another.
  static absl::StatusOr<std::unique_ptr<Rates>> Create(const Overrides& overrides,
                                                       const Clock& clock);
  // The built-in rates alone.
  explicit Rates(const Clock& clock);

  // One token of `intent`. RESOURCE_EXHAUSTED "rate: ..." with the intent, its rate and when to ask
  // again; nothing is taken then. Intents that have no rate are always OK: none (nothing is signed)
  // and destroy_key (wiping the key is never put off).
  absl::Status Take(Intent intent);

  // What is in force; a burst of 0 means no rate.
  SigningRate Of(Intent intent) const;

 private:
  // The bucket as the time at which it would be full again, in nanoseconds of the monotonic clock: a
  // token moves it on by `step`, and it may be ahead of the present by `slack` at most.
  struct Bucket {
    SigningRate rate;
    int64_t step = 0, slack = 0;
    std::atomic<int64_t> full_at{0};
  };
  void Set(Intent intent, const SigningRate& rate);
  Bucket* Find(Intent intent);
  const Bucket* Find(Intent intent) const;

  const Clock& clock_;
  std::array<Bucket, 80> buckets_;  // by the intent's number
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_RATES_H_
