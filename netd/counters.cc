// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/counters.h"

#include "common/base/cat.h"
#include "common/log/log.h"

namespace auspex {

void Counters::HeartbeatSucceeded() {
  std::lock_guard lock(mutex_);
  ++now_.heartbeats_succeeded;
  Succeeded(heartbeat_fails_);
}

void Counters::HeartbeatFailed(std::string_view error) {
  std::lock_guard lock(mutex_);
  ++now_.heartbeats_failed;
  now_.last_error = Cat("heartbeat: ", error);
  Failed(heartbeat_fails_);
}

void Counters::PollSucceeded(bool with_work) {
  std::lock_guard lock(mutex_);
  ++now_.polls_succeeded;
  if (!with_work) ++now_.polls_without_work;
  Succeeded(poll_fails_);
}

void Counters::PollFailed(std::string_view error) {
  std::lock_guard lock(mutex_);
  ++now_.polls_failed;
  now_.last_error = Cat("poll: ", error);
  Failed(poll_fails_);
}

void Counters::Failed(bool& loop) {
  if (!heartbeat_fails_ && !poll_fails_) outage_since_ = std::chrono::steady_clock::now();
  loop = true;
}

void Counters::Succeeded(bool& loop) {
  now_.last_error.clear();
  now_.clock_skew_seconds = 0;
  if (!loop) return;
  loop = false;
  if (heartbeat_fails_ || poll_fails_) return;
  const auto outage = std::chrono::steady_clock::now() - outage_since_;
  LogInfo("connected_again",
          {{"seconds", std::chrono::duration_cast<std::chrono::seconds>(outage).count()}});
}

void Counters::CountOffer(Offer offer) {
  std::lock_guard lock(mutex_);
  switch (offer) {
    case Offer::kAccepted:
      ++now_.accepted;
      break;
    case Offer::kRefused:
      ++now_.refused;
      break;
    case Offer::kKnown:
      ++now_.known;
      break;
  }
}

void Counters::SetLongPolling(bool long_polling) {
  std::lock_guard lock(mutex_);
  now_.long_polling = long_polling;
}

void Counters::SetClockSkew(int64_t seconds) {
  std::lock_guard lock(mutex_);
  now_.clock_skew_seconds = seconds;
}

Counters::Snapshot Counters::Get() const {
  std::lock_guard lock(mutex_);
  return now_;
}

std::string Counters::Snapshot::Summary() const {
  return Cat("heartbeats: ", heartbeats_succeeded + heartbeats_failed, " attempted, ",
             heartbeats_succeeded, " succeeded, ", heartbeats_failed,
             " failed; polls: ", polls_succeeded + polls_failed, " attempted, ", polls_succeeded,
             " succeeded, ", polls_failed, " failed; work: ", accepted, " accepted, ", refused,
             " refused, ", polls_without_work, " without work");
}

}  // namespace auspex
