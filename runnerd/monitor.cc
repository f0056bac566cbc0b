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

void Monitor::LookAgain() {
  std::lock_guard lock(mutex_);
  look_ = true;
  changed_.notify_all();
}

Config Monitor::ConfigNow() const {
  absl::StatusOr<Config> loaded = parts_.load_config();
  if (loaded.ok()) return *std::move(loaded);
  // As for a unit: settings that cannot be read mean off.
  Config config;
  config.execution_policy = ExecutionPolicy::kOff;
  return config;
}

void Monitor::TellCapabilities(const Config& config, bool again) {
  const ThermalReading reading = parts_.thermal.Last();
  const JsonValue capabilities =
      ComposeCapabilities(MeasureHost(parts_.host_root, config.models_store_dir), config,
                          parts_.thermal.has_sensor() ? &reading : nullptr,
                          parts_.thermal.thresholds(), parts_.worker_version);
  const std::string lasting = WithoutMeasurements(capabilities);
  const auto now = steady_clock::now();
  if (!again && lasting == told_capabilities_ && now - capabilities_at_ < kReportEvery) return;
  const bool ok = parts_.report(WriteCanonical(capabilities)).ok();
  told_capabilities_ = ok ? lasting : std::string();
  capabilities_at_ = now;
}

void Monitor::TellCondition(Condition condition, bool again) {
  const auto now = steady_clock::now();
  if (!again && condition == told_condition_ && now - condition_at_ < kReportEvery) return;
  if (parts_.report_condition(condition).ok()) {
    told_condition_ = std::move(condition);
  } else {
    told_condition_.reset();
  }
  condition_at_ = now;
}

void Monitor::Watch() {
  std::unique_lock lock(mutex_);
  auto measured_at = steady_clock::time_point::min();
  while (!stopping_) {
    const bool again = std::exchange(again_, false);
    look_ = false;
    lock.unlock();
    const Config config = ConfigNow();
    const auto now = steady_clock::now();
    // The condition is what has to be quick; looking at devices and models is not for every time.
    // What the coordinator is told about the heat goes first: it is asked for work by that. One look
    // at the condition decides and is told, so that none is told before the heat that it comes from.
    Condition condition = parts_.condition(config);
    if (again || measured_at == steady_clock::time_point::min() ||
        now - measured_at >= kLookEvery || condition != told_condition_) {
      TellCapabilities(config, again);
      measured_at = now;
    }
    TellCondition(std::move(condition), again);
    lock.lock();
    changed_.wait_for(lock, kLookEvery, [this] { return stopping_ || again_ || look_; });
  }
}

}  // namespace auspex::runnerd
