// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/monitor.h"

#include <chrono>
#include <utility>

#include "common/json/canonical.h"
#include "runnerd/capabilities.h"

namespace auspex::runnerd {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;
constexpr seconds kLookEvery(5), kReportEvery(15);

// What changes on its own from look to look: it is no reason to report sooner.
std::string WithoutMeasurements(JsonValue capabilities) {
  if (JsonObject* object = capabilities.as_object()) object->erase("available_memory_gb");
  if (JsonObject* thermal = capabilities["thermal"].as_object()) thermal->erase("current_temp_c");
  return WriteCanonical(capabilities);
}

}  // namespace

Monitor::~Monitor() { Stop(); }

void Monitor::Start() {
  thread_ = std::thread([this] { Watch(); });
}

void Monitor::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Monitor::ReportAgain() {
  std::lock_guard lock(mutex_);
  again_ = true;
  changed_.notify_all();
}

void Monitor::Watch() {
  std::string reported;
  steady_clock::time_point reported_at{};
  for (;;) {
    const ThermalReading reading = parts_.thermal.Measure();
    if (reading.state == ThermalState::kCritical) parts_.overheated();
    absl::StatusOr<Config> loaded = parts_.load_config();
    // As for a unit: settings that cannot be read mean off.
    Config config;
    if (loaded.ok()) {
      config = *std::move(loaded);
    } else {
      config.execution_policy = ExecutionPolicy::kOff;
    }
    const JsonValue capabilities =
        ComposeCapabilities(MeasureHost(parts_.host_root, config.models_store_dir), config,
                            parts_.thermal.has_sensor() ? &reading : nullptr,
                            parts_.thermal.thresholds(), parts_.worker_version);
    const std::string lasting = WithoutMeasurements(capabilities);
    std::unique_lock lock(mutex_);
    if (stopping_) return;
    const auto now = steady_clock::now();
    if (std::exchange(again_, false) || lasting != reported || now - reported_at >= kReportEvery) {
      lock.unlock();
      const bool ok = parts_.report(WriteCanonical(capabilities)).ok();
      lock.lock();
      reported = ok ? lasting : std::string();
      reported_at = now;
    }
    changed_.wait_for(lock, kLookEvery, [this] { return stopping_ || again_; });
    if (stopping_) return;
  }
}

}  // namespace auspex::runnerd
