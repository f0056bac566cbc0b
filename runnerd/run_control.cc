// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/run_control.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace auspex::runnerd {

RunControl::RunControl(const Clock& clock)
    : clock_(clock),
      event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      freeze_event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void RunControl::Request(EndReason reason, double grace_seconds) {
  std::lock_guard lock(mutex_);
  const int64_t kill_at =
      clock_.MonotonicMicros() + static_cast<int64_t>(std::clamp(grace_seconds, 0.0, 600.0) * 1e6);
  if (reason_ == EndReason::kNone) {
    reason_ = reason;
    kill_at_ = kill_at;
  } else {
    kill_at_ = std::min(kill_at_, kill_at);
  }
  if (reason == EndReason::kEnded || reason == EndReason::kStopping) report_ended_ = true;
  const uint64_t one = 1;
  // The counter is never read, so it stays readable; it cannot overflow by a few requests.
  [[maybe_unused]] ssize_t n = write(event_.get(), &one, sizeof one);
  // Under the lock, so that RemoveCancel's promise holds. A cancel must not call back into this
  // object.
  for (const auto& [key, cancel] : cancels_) cancel();
  cancels_.clear();
  changed_.notify_all();
}

EndReason RunControl::reason() const {
  std::lock_guard lock(mutex_);
  return reason_;
}

std::optional<int64_t> RunControl::kill_at_micros() const {
  std::lock_guard lock(mutex_);
  if (reason_ == EndReason::kNone) return std::nullopt;
  return kill_at_;
}

int RunControl::AddCancel(std::function<void()> cancel) {
  std::lock_guard lock(mutex_);
  if (reason_ != EndReason::kNone) {
    cancel();
    return 0;
  }
  const int key = next_key_++;
  cancels_.emplace(key, std::move(cancel));
  return key;
}

void RunControl::RemoveCancel(int key) {
  std::lock_guard lock(mutex_);
  cancels_.erase(key);
}

void RunControl::SetFrozen(bool frozen) {
  std::lock_guard lock(mutex_);
  if (frozen_ == frozen) return;
  frozen_ = frozen;
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t n = write(freeze_event_.get(), &one, sizeof one);
}

bool RunControl::frozen() const {
  std::lock_guard lock(mutex_);
  return frozen_;
}

void RunControl::ClearFreezeEvent() {
  uint64_t count;
  [[maybe_unused]] ssize_t n = read(freeze_event_.get(), &count, sizeof count);
}

void RunControl::SetHeld(bool held) {
  std::lock_guard lock(mutex_);
  held_ = held;
  changed_.notify_all();
}

bool RunControl::BeginExecutor() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !held_ || reason_ != EndReason::kNone; });
  if (reason_ != EndReason::kNone) return false;
  phase_ = UnitPhase::kExecuting;
  return true;
}

void RunControl::EndExecutor() {
  std::lock_guard lock(mutex_);
  phase_ = UnitPhase::kDone;
}

UnitPhase RunControl::phase() const {
  std::lock_guard lock(mutex_);
  return phase_;
}

void RunControl::NoteKilled() {
  std::lock_guard lock(mutex_);
  killed_ = true;
}

void RunControl::Finish() {
  std::lock_guard lock(mutex_);
  finished_ = true;
  changed_.notify_all();
}

bool RunControl::WaitFinished() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return finished_; });
  return killed_;
}

bool RunControl::WaitRequested(double seconds) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::duration<double>(seconds),
                           [this] { return reason_ != EndReason::kNone; });
}

bool RunControl::WaitReportEnded(double seconds) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::duration<double>(seconds),
                           [this] { return report_ended_; });
}

}  // namespace auspex::runnerd
