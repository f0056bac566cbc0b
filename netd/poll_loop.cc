// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/poll_loop.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/log/log.h"
#include "netd/poll_answer.h"
#include "netd/sleep.h"

namespace auspex {
namespace {

using Steady = std::chrono::steady_clock;

// A heartbeat that is under way may take this long before a poll goes out without it.
constexpr double kBeatWait = 6;
// In a bounded run: how long a runner may take to appear.
constexpr double kRunnerWait = 30;
// An empty answer that comes quicker than this was not waited for, whatever its headers say.
constexpr double kShortestWait = 1;
// How long a unit is held for a stated that is away or in trouble, in seconds. Well below a coordinator's lease.
constexpr int64_t kOfferSeconds = 120;
// A poll may bring work any moment until it has lasted so many times as long as answers take, in
// these bounds, in seconds; the second is stated's time to take it too. The last is for a measure
// before there was any answer.
constexpr double kAnswerFactor = 4, kShortestAnswer = 0.1, kLongestAnswer = 2, kUnmeasured = 0.15;
// Answers above this leave holes in the heap that are worth giving back.
constexpr size_t kTrimAbove = 256 * 1024;

Steady::duration Seconds(double seconds) {
  return std::chrono::duration_cast<Steady::duration>(std::chrono::duration<double>(seconds));
}

double SecondsSince(Steady::time_point then) {
  return std::chrono::duration<double>(Steady::now() - then).count();
}

// Whether stated may take the same call later. That it has too much in hand is no such thing.
bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsAborted(status) || absl::IsInternal(status);
}

}  // namespace

PollLoop::PollLoop(Options options, Coordinator& coordinator, StatedClient& stated,
                   DemandBoard& board, Counters& counters)
    : options_(options),
      coordinator_(coordinator),
      stated_(stated),
      board_(board),
      counters_(counters),
      backoff_(PollBackoff(options.interval_seconds)),
      answer_seconds_(kUnmeasured) {}

void PollLoop::Run(std::stop_token stop, std::stop_token cut) {
  uint64_t ticks = 0;
  while (!stop.stop_requested()) {
    DemandBoard::View view;
    Tick tick{.kind = Kind::kSkipped};
    if (AwaitDemand(stop, view)) {
      // The coordinator routes by what the last heartbeat said; the poll comes after it.
      board_.Wait(stop, kBeatWait, [](const DemandBoard::View& now) {
        return now.beaten_epoch >= now.capability_epoch;
      });
      if (stop.stop_requested()) return;
      tick = Poll(cut, view);
      NoteEnd(tick);
      if (tick.kind == Kind::kCancelled) return;
    }
    if (++ticks == options_.max_ticks) return;
    Pause(tick, stop, view);
  }
}

void PollLoop::WaitedForUntil(Steady::time_point until) {
  std::lock_guard lock(mutex_);
  waited_for_until_ = until;
  changed_.notify_all();
}

void PollLoop::NoteEnd(const Tick& tick) {
  std::lock_guard lock(mutex_);
  waited_for_until_.reset();
  changed_.notify_all();
  const bool heard = tick.kind != Kind::kFailed && tick.kind != Kind::kCancelled;
  // One that had been held for long is no measure.
  if (heard && (!tick.waited || tick.seconds < kLongestAnswer / kAnswerFactor))
    answer_seconds_ = std::max(tick.seconds, answer_seconds_ * 0.9);
}

void PollLoop::AwaitAnswer() {
  std::unique_lock lock(mutex_);
  while (waited_for_until_ && Steady::now() < *waited_for_until_)
    changed_.wait_until(lock, *waited_for_until_);
}

bool PollLoop::AwaitDemand(std::stop_token stop, DemandBoard::View& view) {
  const auto wanted = [](const DemandBoard::View& now) {
    return now.enrolled && now.free_slots > 0;
  };
  if (options_.max_ticks == 0) return board_.Wait(stop, -1, wanted, &view);
  const Steady::time_point start = Steady::now();
  while (!stop.stop_requested()) {
    if (board_.Wait(stop, 0.2, wanted, &view)) return true;
    if (!view.enrolled) continue;
    const double waited = SecondsSince(start);
    if (view.reason == "busy" || view.reason == "ready") {
      if (waited > options_.busy_limit_seconds) return false;
    } else if (view.reason == "no_runner") {
      if (waited > kRunnerWait) {
        Fail(absl::FailedPreconditionError("no runner is connected"), stop);
        return false;
      }
    } else if (view.sequence > 0) {
      return false;  // The owner wants no work: that is a tick, as in the existing worker.
    }
  }
  return false;
}

PollLoop::Tick PollLoop::Poll(std::stop_token stop, const DemandBoard::View& view) {
  keyd::v1::SignRequestRequest intent;
  intent.mutable_poll();
  absl::StatusOr<keyd::v1::SignedRequest> request = coordinator_.Sign(intent, stop);
  if (!request.ok()) return Fail(request.status(), stop);

  // No waiting while a hold is in force (its end is told by the next answer) nor in a bounded run
  // (its rounds are counted in intervals).
  const int wait = held_ || options_.max_ticks != 0 ? 0 : options_.long_poll_seconds;
  HttpLimits limits{.stall_seconds = 10.0 + wait,
                    .total_seconds = 60.0 + wait,
                    .max_body_octets = kMaxPollAnswer};
  std::vector<std::pair<std::string, std::string>> headers;
  if (wait > 0) headers.emplace_back("Prefer", Cat("wait=", wait));
  const Steady::time_point start = Steady::now();
  WaitedForUntil(start + Seconds(std::clamp(answer_seconds_ * kAnswerFactor, kShortestAnswer,
                                            kLongestAnswer)));
  absl::StatusOr<HttpResponse> response =
      coordinator_.Send(*request, "", limits, stop, std::move(headers));
  if (!response.ok()) return Fail(response.status(), stop);

  WaitedForUntil(Steady::now() + Seconds(kLongestAnswer));
  Tick tick = TakeAnswer(*response, stop, view);
  if (tick.kind != Kind::kFailed) held_ = tick.kind == Kind::kHold;
  tick.seconds = SecondsSince(start);
  tick.waited = wait > 0 && WaitWasApplied(*response);
  if (response->status == 200) counters_.SetLongPolling(tick.waited);
  if (response->body.size() > kTrimAbove) {
    response = absl::UnknownError("");
    malloc_trim(0);
  }
  return tick;
}

PollLoop::Tick PollLoop::TakeAnswer(const HttpResponse& response, std::stop_token stop,
                                    const DemandBoard::View& view) {
  absl::StatusOr<PollAnswer> answer = ReadPollAnswer(response);
  if (!answer.ok())
    return Fail(answer.status(), stop, RetryAfterSeconds(response, Clock::System().NowSeconds()));
  if (const auto* offer = std::get_if<stated::v1::OfferRequest>(&*answer))
    return TakeOffer(*offer, stop, view);

  const auto& record = std::get<stated::v1::RecordPollRequest>(*answer);
  backoff_.Reset();
  counters_.PollSucceeded(/*with_work=*/false);
  const std::string code = record.has_hold() ? record.hold().kind() : record.no_work().idle_code();
  if (code != idle_code_) {
    idle_code_ = code;
    if (record.has_hold()) {
      LogWarning("hold", {{"kind", record.hold().kind()}, {"reason", record.hold().reason()}});
    } else {
      LogInfo("no_work", {{"code", code}});
    }
  }
  if (absl::Status status = stated_.RecordPoll(record, stop);
      !status.ok() && !stop.stop_requested()) {
    LogWarning("poll_not_recorded", {{"error", std::string(status.message())}});
  }
  return {.kind = record.has_hold() ? Kind::kHold : Kind::kNoWork};
}

PollLoop::Tick PollLoop::TakeOffer(const stated::v1::OfferRequest& offer, std::stop_token stop,
                                   const DemandBoard::View& view) {
  absl::StatusOr<stated::v1::OfferResponse> response = stated_.Offer(offer, stop);
  // The coordinator has handed it out: nobody else gets it before its lease is over. stated knows one that it has noted already.
  const int64_t until = Clock::System().MonotonicMicros() + kOfferSeconds * 1'000'000;
  bool told = false;
  for (double pause = 0.1;
       !response.ok() && MayPass(response.status()) && Clock::System().MonotonicMicros() < until;
       pause = std::min(2 * pause, 2.0)) {
    if (!std::exchange(told, true)) {
      LogWarning("offer_waits",
                 {{"unit", offer.unit_id()},
                  {"error", CleanText(std::string(response.status().message()), 500)}});
    }
    if (!SleepUnlessStopped(stop, pause)) break;
    response = stated_.Offer(offer, stop);
  }
  if (!response.ok()) return Fail(response.status(), stop);
  backoff_.Reset();
  idle_code_.clear();
  counters_.PollSucceeded(/*with_work=*/true);
  LogInfo("offer", {{"unit", offer.unit_id()},
                    {"assignment", offer.assignment_id()},
                    {"tenant", offer.tenant_id()},
                    {"experiment", offer.experiment_id()},
                    {"decision", response->decision()},
                    {"reason", response->reason()}});
  if (response->decision() == "accepted") {
    board_.CountAccepted(view.sequence);
    counters_.CountOffer(Counters::Offer::kAccepted);
    return {.kind = Kind::kAccepted};
  }
  if (response->decision() == "known") {
    counters_.CountOffer(Counters::Offer::kKnown);
    return {.kind = Kind::kKnown};
  }
  counters_.CountOffer(Counters::Offer::kRefused);
  return {.kind = Kind::kRefused};
}

PollLoop::Tick PollLoop::Fail(const absl::Status& status, std::stop_token stop,
                              uint32_t retry_after) {
  if (stop.stop_requested()) return {.kind = Kind::kCancelled};
  const std::string error = CleanText(std::string(status.message()), 500);
  counters_.PollFailed(error);
  LogWarning("poll_failed", {{"error", error}});
  stated::v1::RecordPollRequest record;
  record.mutable_failure()->set_error(error);
  stated_.RecordPoll(record, stop).IgnoreError();  // Only for status; the log has it.
  return {.kind = Kind::kFailed, .retry_after = retry_after};
}

void PollLoop::Pause(const Tick& tick, std::stop_token stop, const DemandBoard::View& view) {
  const uint64_t generation = view.generation;
  const auto freed = [generation](const DemandBoard::View& now) {
    return now.generation != generation;
  };
  const double interval = Jitter(options_.interval_seconds, 0.05);
  switch (tick.kind) {
    case Kind::kAccepted:
    case Kind::kCancelled:
      return;
    case Kind::kRefused:
      SleepUnlessStopped(stop, std::min(interval, 1.0));
      return;
    case Kind::kNoWork:
      if (tick.waited) {
        if (tick.seconds < kShortestWait)
          board_.Wait(stop, std::min(interval, kShortestWait), freed);
        return;
      }
      [[fallthrough]];
    case Kind::kKnown:
    case Kind::kHold:
    case Kind::kSkipped:
      board_.Wait(stop, interval, freed);
      return;
    case Kind::kFailed:
      SleepUnlessStopped(stop, backoff_.Next(tick.retry_after));
      return;
  }
}

}  // namespace auspex
