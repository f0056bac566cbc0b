// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/grants.h"

#include "common/base/cat.h"

namespace auspex::keyd {

absl::StatusOr<int64_t> Grants::Open(OwnerAct act, uint32_t lifetime_seconds) {
  if (lifetime_seconds > kMaxSeconds) {
    return absl::InvalidArgumentError(
        Cat("lifetime_seconds: ", lifetime_seconds, " is more than ", kMaxSeconds));
  }
  const int64_t seconds = lifetime_seconds == 0 ? kDefaultSeconds : lifetime_seconds;
  std::lock_guard lock(mutex_);
  ends_micros_[static_cast<size_t>(act)] = clock_.MonotonicMicros() + seconds * 1'000'000;
  return clock_.NowSeconds() + seconds;
}

absl::Status Grants::Take(OwnerAct act) {
  std::lock_guard lock(mutex_);
  int64_t& end = ends_micros_[static_cast<size_t>(act)];
  const bool was_open = end != 0;
  const bool in_time = was_open && clock_.MonotonicMicros() < end;
  end = 0;
  if (in_time) return absl::OkStatus();
  return absl::PermissionDeniedError(
      Cat(OwnerActWord(act),
          was_open ? ": the owner's grant has ended" : ": the owner has opened no grant for it"));
}

void Grants::Clear() {
  std::lock_guard lock(mutex_);
  ends_micros_.fill(0);
}

}  // namespace auspex::keyd
