// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/thermal.h"

#include <dirent.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

#include "common/base/cat.h"
#include "common/files/files.h"

namespace auspex::runnerd {
namespace {

// Degrees of one zone; nullopt when it cannot be read.
std::optional<double> ReadZone(const std::string& path) {
  auto text = ReadFile(path, 64);
  if (!text.ok()) return std::nullopt;
  long millidegrees = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), millidegrees);
  if (error != std::errc()) return std::nullopt;
  return static_cast<double>(millidegrees) / 1000.0;
}

ThermalReading ReadZones(const std::string& root) {
  ThermalReading reading;
  std::unique_ptr<DIR, int (*)(DIR*)> list(opendir(root.c_str()), closedir);
  if (list == nullptr) return reading;
  while (const dirent* entry = readdir(list.get())) {
    if (!std::string_view(entry->d_name).starts_with("thermal_zone")) continue;
    if (auto celsius = ReadZone(Cat(root, "/", entry->d_name, "/temp"))) {
      ++reading.zones;
      reading.celsius = std::max(reading.celsius.value_or(*celsius), *celsius);
    }
  }
  return reading;
}

}  // namespace

std::string_view ThermalWord(ThermalState state) {
  switch (state) {
    case ThermalState::kOk:
      return "ok";
    case ThermalState::kWarm:
      return "warm";
    case ThermalState::kCritical:
      return "critical";
  }
  return "ok";
}

ThermalGovernor::ThermalGovernor(ThermalThresholds thresholds, std::string root)
    : thresholds_(thresholds), root_(std::move(root)) {
  has_sensor_ = Measure().celsius.has_value();
}

ThermalReading ThermalGovernor::Measure() {
  ThermalReading reading = ReadZones(root_);
  std::lock_guard lock(mutex_);
  if (reading.celsius) {
    const double t = *reading.celsius;
    const bool latched = last_.state == ThermalState::kCritical && t > thresholds_.resume_c;
    if (t >= thresholds_.critical_c || latched) {
      reading.state = ThermalState::kCritical;
    } else if (t >= thresholds_.warn_c) {
      reading.state = ThermalState::kWarm;
    }
  }
  last_ = reading;
  return reading;
}

ThermalReading ThermalGovernor::Last() const {
  std::lock_guard lock(mutex_);
  return last_;
}

}  // namespace auspex::runnerd
