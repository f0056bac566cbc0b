// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/netd.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <latch>
#include <memory>
#include <mutex>
#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/log/log.h"
#include "netd/sleep.h"

namespace auspex {
namespace {

// Pause before a stream to stated is opened again, in seconds.
constexpr double kReopenFirst = 0.02, kReopenMost = 1;
// A unit without a limit of its own in the configuration runs at most this long.
constexpr double kDefaultRunnerSeconds = 600, kDrainMargin = 60;

// Waits a little until there is a socket at `path`. All daemons start at the same moment, and a
// channel that found nobody sits out gRPC's backoff of at least 100 ms; looking first is quicker. A
// socket that is a corpse is left to the backoff.
void AwaitSocket(const std::string& path, std::stop_token stop) {
  constexpr double kPause = 0.003;
  constexpr int kTries = 1000;
  struct stat info;
  for (int i = 0; i < kTries; ++i) {
    if (::stat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) return;
    if (!SleepUnlessStopped(stop, kPause)) return;
  }
}

}  // namespace

absl::StatusOr<Netd::Options> Netd::OptionsFrom(const Config& config, const Layout& layout,
                                                uint64_t max_ticks) {
  absl::StatusOr<BaseUrl> base = BaseUrl::Parse(config.coordinator_url);
  if (!base.ok())
    return absl::InvalidArgumentError(
        Cat("coordinator.url: ", std::string(base.status().message())));
  absl::StatusOr<BaseUrl> provider = BaseUrl::Parse(config.github_base_url);
  if (!provider.ok())
    return absl::InvalidArgumentError(
        Cat("identity.github_base_url: ", std::string(provider.status().message())));
  const double drain = config.runner_timeout_seconds.value_or(kDefaultRunnerSeconds) + kDrainMargin;
  return Options{
      .base = *std::move(base),
      .login = {.provider = *std::move(provider), .client_id = config.github_client_id},
      .ca_file = config.ca_file,
      .keyd_socket = layout.Socket("keyd", "request"),
      .stated_socket = layout.Socket("stated", "net"),
      .heartbeat = {.interval_seconds = config.heartbeat_interval_seconds, .max_ticks = max_ticks},
      .poll = {.interval_seconds = config.assignment_poll_interval_seconds,
               .long_poll_seconds = config.long_poll_seconds,
               .max_ticks = max_ticks,
               .busy_limit_seconds = drain},
      .outbox = {},
      .max_ticks = max_ticks,
      .drain_seconds = drain,
  };
}

Netd::Netd(Options options)
    : options_(std::move(options)),
      http_({.ca_file = options_.ca_file}),
      keyd_(options_.keyd_socket),
      stated_(options_.stated_socket),
      coordinator_(options_.base, http_, keyd_, counters_),
      sender_(options_.outbox, coordinator_, stated_),
      service_(options_.login, http_, coordinator_, stated_, counters_, stop_.get_token()),
      heartbeat_(options_.heartbeat, coordinator_, stated_, board_, counters_),
      poll_(options_.poll, coordinator_, stated_, board_, counters_) {}

Netd::~Netd() {
  RequestStop();
  Join();
}

void Netd::Start(std::function<void()> finished) {
  const std::stop_token stop = stop_.get_token();
  threads_.emplace_back([this] { WatchDemand(); });
  threads_.emplace_back([this] { WatchOutbox(); });
  for (int i = 0; i < options_.outbox.threads; ++i) {
    threads_.emplace_back([this, stop] { sender_.Run(stop); });
  }
  // Counted down by the heartbeat after its last regular tick and by the poller at its end.
  auto ticking = std::make_shared<std::latch>(2);
  threads_.emplace_back([this, stop, ticking] {
    bool done = false;
    heartbeat_.Run(stop, [&] {
      done = true;
      ticking->count_down();
    });
    if (!done) ticking->count_down();
  });
  threads_.emplace_back([this, stop, ticking] {
    poll_.Run(stop, cut_poll_.get_token());
    ticking->count_down();
  });
  if (options_.max_ticks > 0) {
    threads_.emplace_back([this, ticking, finished = std::move(finished)] {
      ticking->wait();
      Drain();
      finished();
    });
  }
}

void Netd::RequestStop() {
  stop_.request_stop();
  poll_.AwaitAnswer();
  cut_poll_.request_stop();
}

void Netd::Join() { threads_.clear(); }

void Netd::WatchDemand() {
  const std::stop_token stop = stop_.get_token();
  double pause = kReopenFirst;
  AwaitSocket(options_.keyd_socket, stop);
  AwaitSocket(options_.stated_socket, stop);
  while (!stop.stop_requested()) {
    absl::Status status = stated_.WatchDemand(stop, [&](const stated::v1::Demand& demand) {
      pause = kReopenFirst;
      LogDebug("demand", {{"free_slots", demand.free_slots()},
                          {"reason", demand.reason()},
                          {"generation", demand.generation()}});
      board_.Update(demand);
      return true;
    });
    if (stop.stop_requested()) return;
    board_.Disconnected();
    LogInfo("demand_stream_ended", {{"error", std::string(status.message())}});
    SleepUnlessStopped(stop, pause);
    pause = std::min(pause * 2, kReopenMost);
  }
}

void Netd::WatchOutbox() {
  const std::stop_token stop = stop_.get_token();
  double pause = kReopenFirst;
  AwaitSocket(options_.stated_socket, stop);
  while (!stop.stop_requested()) {
    absl::Status status = stated_.WatchOutbox(stop, [&](stated::v1::OutboxItem item) {
      pause = kReopenFirst;
      return sender_.Enqueue(std::move(item), stop);
    });
    if (stop.stop_requested()) return;
    sender_.DropQueued();
    LogInfo("outbox_stream_ended", {{"error", std::string(status.message())}});
    SleepUnlessStopped(stop, pause);
    pause = std::min(pause * 2, kReopenMost);
  }
}

void Netd::Drain() {
  const std::stop_token stop = stop_.get_token();
  const auto start = std::chrono::steady_clock::now();
  const auto left = [&] {
    return options_.drain_seconds -
           std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  while (!stop.stop_requested() && left() > 0) {
    board_.Wait(stop, std::min(left(), 0.1), [](const DemandBoard::View& view) {
      return view.in_hand == 0 && view.outbox_unattempted == 0;
    });
    if (sender_.Idle()) {
      // The stream may lag behind what was just settled: ask afresh before believing that all is
      // done.
      absl::StatusOr<stated::v1::Demand> demand = stated_.GetDemand(stop);
      if (demand.ok() && demand->in_hand() == 0 && demand->outbox_unattempted() == 0 &&
          sender_.Idle())
        return;
    }
    SleepUnlessStopped(stop, 0.02);
  }
  if (!stop.stop_requested())
    LogWarning("drain_gave_up", {{"seconds", static_cast<int64_t>(options_.drain_seconds)}});
}

}  // namespace auspex
