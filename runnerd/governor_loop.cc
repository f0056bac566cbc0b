// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/governor_loop.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/log/log.h"

namespace auspex::runnerd {
namespace {

constexpr int kLookMs = 1000;
// Sensors may be slow to ask; wire protocol 9.5 asks for this.
constexpr int64_t kWarmthMicros = 5'000'000;
// What the alarm is about: the time in which things stood still.
constexpr int64_t kAlarmMicros = 10'000'000;
// How soon after an alarm the next is heard, should the kernel ring on and on.
constexpr int kAfterAlarmMs = 100;

}  // namespace

GovernorLoop::GovernorLoop(Parts parts)
    : parts_(std::move(parts)),
      stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      gauges_(parts_.host_root, parts_.state_dir, parts_.worker_micros) {}

GovernorLoop::~GovernorLoop() { Stop(); }

void GovernorLoop::Start() {
  LookAndAct(false);
  thread_ = std::thread([this] { Watch(); });
}

void GovernorLoop::Stop() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(stop_.get(), &one, sizeof one);
  if (thread_.joinable()) thread_.join();
}

Verdict GovernorLoop::Last() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

Verdict GovernorLoop::Look(bool rang) {
  if (absl::StatusOr<Config> config = parts_.load_config(); config.ok())
    config_ = *std::move(config);
  const GovernorLimits limits = LimitsOf(config_);
  if (alarm_ == nullptr || alarm_->percent() != limits.max_memory_pressure)
    alarm_ = std::make_unique<PressureAlarm>(parts_.host_root, limits.max_memory_pressure);
  const int64_t now = Clock::System().MonotonicMicros();
  if (rang) rang_at_ = now;
  SayWhetherLoadCanBe(limits);
  GovernorReadings readings = gauges_.Read(limits);
  // The kernel's mean lags behind what its alarm tells.
  if (rang_at_ != 0 && now - rang_at_ < kAlarmMicros)
    readings.memory_pressure =
        std::max(readings.memory_pressure.value_or(0.0), limits.max_memory_pressure);
  if (warmth_at_ == 0 || now - warmth_at_ >= kWarmthMicros) {
    warmth_at_ = now;
    readings.thermal = parts_.thermal.Measure();
  } else {
    readings.thermal = parts_.thermal.Last();
  }
  std::string unreadable;
  for (const absl::Status& status :
       {readings.others_load.status(), readings.memory_pressure.status(),
        readings.free_disk_mb.status()}) {
    if (!status.ok()) unreadable = std::string(status.message());
  }
  if (unreadable != unreadable_ && !unreadable.empty())
    LogWarning("governor_cannot_read", {{"cause", unreadable}});
  unreadable_ = std::move(unreadable);
  return governor_.Decide(readings, limits);
}

// The bound was once of the load average, which has no upper end.
void GovernorLoop::SayWhetherLoadCanBe(const GovernorLimits& limits) {
  if (std::exchange(told_max_load_, limits.max_load) == limits.max_load || !limits.max_load) return;
  const long processors = sysconf(_SC_NPROCESSORS_ONLN);
  if (processors > 0 && *limits.max_load > static_cast<double>(processors)) {
    LogWarning("governor_max_load_is_never_reached",
               {{"max_load", Figure(*limits.max_load)}, {"processors", int64_t{processors}}});
  }
}

void GovernorLoop::Tell(const Verdict& verdict) {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(last_, verdict).strain == verdict.strain) return;
  }
  if (verdict.may_run()) {
    LogInfo("units_may_run");
  } else {
    LogWarning("units_wait", {{"word", StrainWord(verdict.strain)}, {"reason", verdict.reason}});
  }
}

void GovernorLoop::LookAndAct(bool rang) {
  const Verdict verdict = Look(rang);
  Tell(verdict);
  parts_.act(verdict, config_);
}

void GovernorLoop::Watch() {
  bool rang = false;
  for (;; LookAndAct(rang)) {
    pollfd entries[] = {{stop_.get(), POLLIN, 0}, {alarm_->fd(), POLLPRI, 0}};
    if (rang && poll(entries, 1, kAfterAlarmMs) > 0) return;
    const int ready = poll(entries, std::size(entries), kLookMs);
    if (ready > 0 && entries[0].revents != 0) return;
    rang = ready > 0 && (entries[1].revents & POLLPRI) != 0;
    if (ready > 0 && (entries[1].revents & POLLERR) != 0 && !rang) {
      // The file has gone, which it does with nothing that runs here; looking has to do.
      if (poll(entries, 1, kLookMs) > 0) return;
    }
  }
}

}  // namespace auspex::runnerd
