// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/governor.h"

#include <cstdio>

#include "common/base/cat.h"

namespace auspex::runnerd {
namespace {

constexpr double kLeftAt = 0.75;  // of a bound

// At or above `bound` until it has fallen below three quarters of it.
bool Beyond(bool was, double value, double bound) {
  return value >= bound || (was && value >= kLeftAt * bound);
}

}  // namespace

std::string Figure(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string_view StrainWord(Strain strain) {
  switch (strain) {
    case Strain::kNone:
      return "";
    case Strain::kHot:
      return "hot";
    case Strain::kLoad:
      return "load";
    case Strain::kMemory:
      return "memory";
    case Strain::kDisk:
      return "disk";
  }
  return "";
}

GovernorLimits LimitsOf(const Config& config) {
  return {config.max_load, config.max_memory_pressure, config.min_free_disk_mb};
}

Verdict Governor::Decide(const GovernorReadings& readings, const GovernorLimits& limits) {
  // Every latch moves at every look, whichever is named.
  load_ = limits.max_load &&
          (!readings.others_load.ok() || Beyond(load_, *readings.others_load, *limits.max_load));
  memory_ = limits.max_memory_pressure < 100 && readings.memory_pressure.ok() &&
            Beyond(memory_, *readings.memory_pressure, limits.max_memory_pressure);
  const double least = static_cast<double>(limits.min_free_disk_mb);
  disk_ = limits.min_free_disk_mb > 0 &&
          (!readings.free_disk_mb.ok() ||
           static_cast<double>(*readings.free_disk_mb) < (disk_ ? least / kLeftAt : least));
  if (readings.thermal.state == ThermalState::kCritical) {
    return {
        Strain::kHot,
        Cat("the hottest sensor is critical",
            readings.thermal.celsius ? Cat(": ", Figure(*readings.thermal.celsius), " C") : "")};
  }
  if (load_) {
    if (!readings.others_load.ok()) {
      return {Strain::kLoad, Cat("governor.max_load is set and the load cannot be read: ",
                                 std::string(readings.others_load.status().message()))};
    }
    return {Strain::kLoad, Cat("other work keeps ", Figure(*readings.others_load),
                               " processors busy, governor.max_load ", Figure(*limits.max_load))};
  }
  if (memory_) {
    return {Strain::kMemory, Cat("everything waited for memory ", Figure(*readings.memory_pressure),
                                 " % of ten seconds, governor.max_memory_pressure ",
                                 Figure(limits.max_memory_pressure))};
  }
  if (disk_) {
    if (!readings.free_disk_mb.ok()) {
      return {Strain::kDisk, Cat("free disk cannot be read: ",
                                 std::string(readings.free_disk_mb.status().message()))};
    }
    return {Strain::kDisk, Cat("free disk ", *readings.free_disk_mb,
                               " MiB, governor.min_free_disk_mb ", limits.min_free_disk_mb)};
  }
  return {};
}

}  // namespace auspex::runnerd
