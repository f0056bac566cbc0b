// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/heartbeat_loop.h"

#include <algorithm>
#include <utility>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/crypto/sha256.h"
#include "common/log/log.h"
#include "netd/heartbeat_answer.h"
#include "netd/retry.h"
#include "netd/sleep.h"

namespace auspex {
namespace {

// Between stated's and keyd's note of an enrolment lies the owner's command: keyd's "not enrolled"
// is no failure for so long.
constexpr double kNotReadyGrace = 5;
constexpr double kNotReadyPause = 0.1;
// Early beats in a row without a pause between them.
constexpr int kFreeEarlyBeats = 3;

}  // namespace

void HeartbeatLoop::Run(std::stop_token stop, const std::function<void()>& done) {
  const auto enrolled = [](const DemandBoard::View& view) { return view.enrolled; };
  board_.Wait(stop, -1, enrolled);
  // Workers that were restarted together need not stay in step (W18); a runner that is about to
  // connect is waited for, so that the first beat tells what it can do.
  SleepUnlessStopped(stop, RandomUpTo(0.02));
  board_.Wait(stop, 0.06, [](const DemandBoard::View& view) { return view.reason != "no_runner"; });

  const double first_retry = std::min(options_.interval_seconds, 1.0);
  Backoff backoff(first_retry, options_.interval_seconds);
  uint64_t ticks = 0;
  bool early = false;
  int early_in_a_row = 0;
  while (!stop.stop_requested()) {
    DemandBoard::View view;
    if (!board_.Wait(stop, -1, enrolled, &view)) return;
    uint32_t retry_after = 0;
    const Outcome outcome = Beat(stop, retry_after);
    if (outcome == Outcome::kCancelled) return;
    if (outcome == Outcome::kNotReady) {
      SleepUnlessStopped(stop, kNotReadyPause);
      continue;
    }
    board_.MarkBeaten(view.capability_epoch);
    if (!early && ++ticks == options_.max_ticks) done();
    early_in_a_row = early ? early_in_a_row + 1 : 0;

    double delay = Jitter(options_.interval_seconds, 0.05);
    if (outcome == Outcome::kOk) {
      backoff.Reset();
    } else {
      delay = backoff.Next(retry_after);
    }
    if (options_.max_ticks != 0 && ticks >= options_.max_ticks) delay = -1;
    // A coordinator that asked for patience gets it.
    double quiet = early_in_a_row >= kFreeEarlyBeats ? 1.0 : 0.0;
    if (outcome == Outcome::kFailed)
      quiet = std::max<double>(quiet, retry_after > 0 ? delay : first_retry);
    if (delay >= 0) quiet = std::min(quiet, delay);
    if (quiet > 0 && !SleepUnlessStopped(stop, quiet)) return;
    const uint64_t told = view.capability_epoch;
    early = board_.Wait(stop, delay < 0 ? -1 : delay - quiet, [told](const DemandBoard::View& now) {
      return now.enrolled && now.capability_epoch != told;
    });
  }
}

HeartbeatLoop::Outcome HeartbeatLoop::Beat(std::stop_token stop, uint32_t& retry_after) {
  absl::StatusOr<std::string> capabilities = stated_.GetCapabilities(stop);
  if (!capabilities.ok()) return Fail(capabilities.status(), stop);
  std::string body = Cat("{\"capabilities\":", *capabilities, "}");
  keyd::v1::SignRequestRequest intent;
  intent.mutable_heartbeat()->set_body_sha256(Sha256(body));
  absl::StatusOr<keyd::v1::SignedRequest> request = coordinator_.Sign(intent, stop);
  if (!request.ok()) {
    if (absl::IsFailedPrecondition(request.status()) && not_ready_seconds_ < kNotReadyGrace &&
        !stop.stop_requested()) {
      not_ready_seconds_ += kNotReadyPause;
      return Outcome::kNotReady;
    }
    return Fail(request.status(), stop);
  }
  not_ready_seconds_ = 0;
  absl::StatusOr<HttpResponse> response =
      coordinator_.Send(*request, std::move(body), kSmallCall, stop);
  if (!response.ok()) return Fail(response.status(), stop);
  retry_after = RetryAfterSeconds(*response, Clock::System().NowSeconds());
  absl::StatusOr<stated::v1::RecordHeartbeatRequest> record = ReadHeartbeatAnswer(*response);
  if (!record.ok()) return Fail(record.status(), stop);
  counters_.HeartbeatSucceeded();
  LogDebug("heartbeat", {{"tier", record->trust_tier()}});
  if (absl::Status status = stated_.RecordHeartbeat(*record, stop);
      !status.ok() && !stop.stop_requested()) {
    LogWarning("heartbeat_not_recorded", {{"error", std::string(status.message())}});
  }
  return Outcome::kOk;
}

HeartbeatLoop::Outcome HeartbeatLoop::Fail(const absl::Status& status, std::stop_token stop) {
  if (stop.stop_requested()) return Outcome::kCancelled;
  const std::string error = CleanText(std::string(status.message()), 500);
  counters_.HeartbeatFailed(error);
  LogWarning("heartbeat_failed", {{"error", error}});
  stated::v1::RecordHeartbeatRequest record;
  record.set_error(error);
  stated_.RecordHeartbeat(record, stop).IgnoreError();  // Only for status; the log has it.
  return Outcome::kFailed;
}

}  // namespace auspex
