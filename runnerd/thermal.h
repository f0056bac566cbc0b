// SPDX-License-Identifier: AGPL-3.0-only
// ThermalGovernor: the hottest sensor with a latch (wire protocol 9.5): critical at or above the
// critical temperature until it has fallen to the resume temperature. One object serves
// capabilities and units, so both see the same latch. Safe from any thread.
#ifndef AUSPEX_RUNNERD_THERMAL_H_
#define AUSPEX_RUNNERD_THERMAL_H_

#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace auspex::runnerd {

enum class ThermalState { kOk, kWarm, kCritical };
// "ok", "warm", "critical".
std::string_view ThermalWord(ThermalState state);

struct ThermalReading {
  ThermalState state = ThermalState::kOk;
  std::optional<double> celsius;  // hottest; nullopt: no sensor could be read
  int zones = 0;                  // readable ones
};

struct ThermalThresholds {
  double warn_c = 70, critical_c = 82, resume_c = 68;
};

class ThermalGovernor {
 public:
  // `root` is where thermal_zone* folders are.
  explicit ThermalGovernor(ThermalThresholds thresholds, std::string root = "/sys/class/thermal");

  // Reads the sensors and moves the latch. No reading at all means ok.
  ThermalReading Measure();
  // The last reading, without looking.
  ThermalReading Last() const;
  // Whether there was a sensor at construction: without one nothing is reported.
  bool has_sensor() const { return has_sensor_; }
  const ThermalThresholds& thresholds() const { return thresholds_; }

 private:
  const ThermalThresholds thresholds_;
  const std::string root_;
  bool has_sensor_ = false;
  mutable std::mutex mutex_;
  ThermalReading last_;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_THERMAL_H_
