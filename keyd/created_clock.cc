// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/created_clock.h"

#include <algorithm>

#include "common/base/cat.h"

namespace auspex::keyd {

void CreatedClock::Replay(const JournalRecord& record) {
  if (record.intent == Intent::kSetEnrolment && record.outcome == Outcome::kDone) last_ = 0;
  if (record.outcome == Outcome::kSigned) last_ = std::max(last_, record.created);
}

absl::StatusOr<CreatedClock::Hold> CreatedClock::Take() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (!pinning_) {
      const int64_t now = clock_.NowSeconds();
      if (now < last_ - kMaxBehindSeconds) {
        return absl::FailedPreconditionError(
            Cat("clock: this machine's clock is ", last_ - now,
                " s behind the last request that was signed (created=", last_,
                "); set it right, or, if it is right now and was ahead before, run `auspex "
                "bootstrap` to confirm it"));
      }
      const int64_t created = std::max(now, last_);
      if (holds_ == 0 || created == current_) {
        current_ = created;
        ++holds_;
        return Hold(this, created);
      }
    }
    changed_.wait(lock);
  }
}

void CreatedClock::Commit(int64_t created) {
  std::lock_guard lock(mutex_);
  last_ = std::max(last_, created);
}

void CreatedClock::Release() {
  std::lock_guard lock(mutex_);
  if (--holds_ == 0) changed_.notify_all();
}

absl::Status CreatedClock::StartAnew(const std::function<absl::Status()>& pin) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !pinning_; });
  pinning_ = true;  // keeps new holds away, so that the wait ends
  changed_.wait(lock, [this] { return holds_ == 0; });
  lock.unlock();
  absl::Status status = pin();
  lock.lock();
  pinning_ = false;
  if (status.ok()) last_ = 0;
  changed_.notify_all();
  return status;
}

}  // namespace auspex::keyd
