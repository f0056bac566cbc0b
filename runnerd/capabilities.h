// SPDX-License-Identifier: AGPL-3.0-only
// The capabilities object of wire protocol section 8, but for self_paused, which stated adds.
// Measuring and composing are apart, so that the omit rules can be tested without a host. Functions
// are safe from any thread.
#ifndef AUSPEX_RUNNERD_CAPABILITIES_H_
#define AUSPEX_RUNNERD_CAPABILITIES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/config/config.h"
#include "common/json/value.h"
#include "runnerd/thermal.h"

namespace auspex::runnerd {

struct HostFacts {
  std::string os = "linux", arch;          // lower case
  std::optional<double> ram_total_gb;      // GiB, not rounded
  std::optional<double> ram_available_gb;  // GiB, not rounded
  std::optional<int> cpu_count;            // online
  int nvidia = 0;                          // devices that open
  bool amd = false;
  bool unified_memory = false;             // Jetson and kin
  std::optional<double> amd_vram_gb;       // 10^9 octets
  std::map<std::string, uint64_t> models;  // model id -> octets of its files
};

// Looks at the host. `root` is put before /proc, /dev and /sys ("" for the real ones); `models_dir`
// is the model store.
HostFacts MeasureHost(const std::string& root, const std::string& models_dir);

// The object. `thermal` only when the host has a sensor; `worker_version` empty: unknown.
JsonValue ComposeCapabilities(const HostFacts& facts, const Config& config,
                              const ThermalReading* thermal, const ThermalThresholds& thresholds,
                              const std::string& worker_version);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_CAPABILITIES_H_
