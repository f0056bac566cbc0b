// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/isolation.h"

#include <utility>

#include "common/log/log.h"

namespace auspex::runnerd {
namespace {
constexpr int64_t kRetryMicros = 30'000'000;
}  // namespace

Isolation::Isolation(std::function<ProbeResult()> probe, const Clock& clock)
    : probe_(std::move(probe)), clock_(clock) {}

Isolation::~Isolation() {
  if (thread_.joinable()) thread_.join();
}

void Isolation::StartInBackground() {
  thread_ = std::thread([this] { Ensure(); });
}

ProbeResult Isolation::RunLocked() {
  ProbeResult result = probe_();
  if (result.ok) {
    LogInfo("isolation", {{"state", "strict"}});
  } else {
    LogError("isolation", {{"state", "unavailable"}, {"why", result.failure}});
  }
  std::lock_guard lock(mutex_);
  last_ = result;
  last_at_ = clock_.MonotonicMicros();
  return result;
}

ProbeResult Isolation::Ensure() {
  std::lock_guard running(running_);  // the first unit waits here for the probe of the start
  {
    std::lock_guard lock(mutex_);
    if (last_ && (last_->ok || clock_.MonotonicMicros() - last_at_ < kRetryMicros)) return *last_;
  }
  return RunLocked();
}

ProbeResult Isolation::Refresh() {
  std::lock_guard running(running_);
  return RunLocked();
}

std::optional<ProbeResult> Isolation::Last() const {
  std::lock_guard lock(mutex_);
  return last_;
}

}  // namespace auspex::runnerd
