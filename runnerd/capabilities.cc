// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/capabilities.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/config/policy.h"

namespace auspex::runnerd {
namespace {

double Rounded(double value, double steps) { return std::round(value * steps) / steps; }

// Memory that models may take: the accelerator's, or the host's where there is none (section 8,
// "Accelerator budget"). Unknown for discrete NVIDIA devices, whose memory only their own tools
// tell.
std::optional<double> UsableMemoryGb(const HostFacts& facts) {
  std::optional<double> budget = facts.ram_total_gb;
  double reserve = 0.5;
  if (facts.unified_memory) {
    reserve = 3.0;
  } else if (facts.nvidia > 0) {
    budget.reset();
  } else if (facts.amd) {
    budget = facts.amd_vram_gb;
  }
  if (!budget) return std::nullopt;
  return std::max(0.0, *budget - reserve);
}

template <typename T>
void PutIf(JsonObject& object, const char* name, const std::optional<T>& value) {
  if (value) object.emplace(name, JsonValue(*value));
}

JsonObject DeclaredGpus(const Config& config) {
  JsonObject gpus;
  PutIf(gpus, "nvidia", config.gpus_nvidia);
  PutIf(gpus, "nvidia_model", config.gpus_nvidia_model);
  PutIf(gpus, "vram_total_gb", config.gpus_vram_total_gb);
  PutIf(gpus, "amd", config.gpus_amd);
  PutIf(gpus, "amd_model", config.gpus_amd_model);
  return gpus;
}

JsonObject DeclaredCaps(const Config& config) {
  JsonObject caps;
  PutIf(caps, "max_ram_gb", config.max_ram_gb);
  PutIf(caps, "max_vram_gb", config.max_vram_gb);
  PutIf(caps, "max_cpu_cores", config.max_cpu_cores);
  PutIf(caps, "network_quota_mb_per_hour", config.network_quota_mb_per_hour);
  return caps;
}

JsonObject Thermal(const ThermalReading& reading, const ThermalThresholds& thresholds) {
  JsonObject thermal;
  thermal.emplace("state", JsonValue(ThermalWord(reading.state)));
  thermal.emplace("current_temp_c",
                  reading.celsius ? JsonValue(Rounded(*reading.celsius, 10)) : JsonValue());
  thermal.emplace("max_temp_c", JsonValue(Rounded(thresholds.critical_c, 10)));
  thermal.emplace("zone_count", JsonValue(reading.zones));
  return thermal;
}

}  // namespace

JsonValue ComposeCapabilities(const HostFacts& facts, const Config& config,
                              const ThermalReading* thermal, const ThermalThresholds& thresholds,
                              const std::string& worker_version) {
  JsonObject c;
  c.emplace("os", JsonValue(facts.os));
  c.emplace("arch", JsonValue(facts.arch));
  c.emplace("ram_total_gb",
            facts.ram_total_gb ? JsonValue(Rounded(*facts.ram_total_gb, 100)) : JsonValue());
  c.emplace("cpu_count", facts.cpu_count ? JsonValue(*facts.cpu_count) : JsonValue());
  c.emplace("gpus_observed", JsonValue(JsonObject{{"nvidia", JsonValue(facts.nvidia)},
                                                  {"amd", JsonValue(facts.amd)}}));
  if (JsonObject gpus = DeclaredGpus(config); !gpus.empty())
    c.emplace("gpus_declared", JsonValue(std::move(gpus)));
  if (JsonObject caps = DeclaredCaps(config); !caps.empty())
    c.emplace("declared_caps", JsonValue(std::move(caps)));
  if (!worker_version.empty()) c.emplace("worker_version", JsonValue(worker_version));
  if (!facts.models.empty()) {
    JsonArray names;
    JsonObject sizes;
    for (const auto& [id, octets] : facts.models) {
      names.emplace_back(id);
      sizes.emplace(id, JsonValue(octets));
    }
    c.emplace("models", JsonValue(std::move(names)));
    c.emplace("model_sizes", JsonValue(std::move(sizes)));
  }
  PutIf(c, "usable_memory_gb", UsableMemoryGb(facts));
  if (facts.ram_available_gb)
    c.emplace("available_memory_gb", JsonValue(Rounded(*facts.ram_available_gb, 100)));
  if (thermal != nullptr) c.emplace("thermal", JsonValue(Thermal(*thermal, thresholds)));
  // No auto_acquire whatever the owner wishes: this release acquires no models, and a coordinator
  // would send work for it.
  c.emplace("execute_tenant_code", JsonValue(ExecutionPolicyWord(AnnouncedPolicy(config))));
  c.emplace("sandbox_policy", JsonValue(config.use_bubblewrap ? "strict" : "permissive"));
  PutIf(c, "flavor", config.flavor);
  c.emplace("worker_features", JsonValue(JsonArray{}));
  return JsonValue(std::move(c));
}

}  // namespace auspex::runnerd
