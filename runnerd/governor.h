// SPDX-License-Identifier: AGPL-3.0-only
// Governor: whether the machine can bear units now. Readings go in, a verdict with one word comes
// out; nothing is read and nothing is done here. Every bound is left later than it was reached, so
// that a machine at the edge does not start and stop units all the time: load and memory pressure
// at three quarters of their bound, free disk at four thirds, heat as wire protocol 9.5 says. One
// thread.
#ifndef AUSPEX_RUNNERD_GOVERNOR_H_
#define AUSPEX_RUNNERD_GOVERNOR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "runnerd/thermal.h"

namespace auspex::runnerd {

// In the order in which they are named when several hold.
enum class Strain { kNone, kHot, kLoad, kMemory, kDisk };
// "", "hot", "load", "memory", "disk".
std::string_view StrainWord(Strain strain);
// Of a bound or a reading, with one decimal.
std::string Figure(double value);

struct GovernorLimits {
  std::optional<double> max_load;   // nullopt: not looked at
  double max_memory_pressure = 10;  // percent; 100: not looked at
  int64_t min_free_disk_mb = 1024;  // 0: not looked at
};
GovernorLimits LimitsOf(const Config& config);

struct GovernorReadings {
  ThermalReading thermal;
  absl::StatusOr<double> others_load = 0.0;      // processors that other work keeps busy
  absl::StatusOr<double> memory_pressure = 0.0;  // percent of the last ten seconds (PSI full)
  absl::StatusOr<int64_t> free_disk_mb = int64_t{1} << 40;
};

struct Verdict {
  Strain strain = Strain::kNone;
  std::string reason;  // in words with the figures, for the owner; empty when units may run
  bool may_run() const { return strain == Strain::kNone; }
};

class Governor {
 public:
  // What cannot be read does not hold units up, but for a bound that the owner has set and that
  // cannot be kept otherwise: a load that cannot be read, and free disk.
  Verdict Decide(const GovernorReadings& readings, const GovernorLimits& limits);

 private:
  bool load_ = false, memory_ = false, disk_ = false;  // beyond its bound, not yet left
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_GOVERNOR_H_
