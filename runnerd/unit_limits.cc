// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/unit_limits.h"

#include "common/base/cat.h"

namespace auspex::runnerd {
namespace {

constexpr uint64_t kMiB = 1 << 20;
// bubblewrap and our init, which are not the tenant's.
constexpr uint64_t kOwnProcesses = 2;

}  // namespace

CgroupLimits UnitLimits(const Config& config) {
  CgroupLimits limits;
  if (!config.resource_limits) return limits;
  limits.memory_octets = static_cast<uint64_t>(config.memory_max_mb) * kMiB;
  limits.swap_octets = static_cast<uint64_t>(config.swap_max_mb) * kMiB;
  limits.processes = static_cast<uint64_t>(config.pids_max) + kOwnProcesses;
  limits.cpus = config.cpu_cores;
  return limits;
}

void ApplyLimits(const Config& config, RunRequest& request) {
  request.limits = UnitLimits(config);
  request.max_frozen_seconds = config.max_frozen_seconds;
}

CgroupTotals UnitTotals(const Config& config) {
  CgroupTotals totals;
  if (config.max_ram_gb) {
    totals.memory_octets =
        static_cast<uint64_t>(*config.max_ram_gb * 1024) * kMiB;  // whole MiB, of 2^30 octets each
  }
  if (config.max_cpu_cores) totals.cpus = static_cast<double>(*config.max_cpu_cores);
  totals.cpu_weight = config.cpu_weight;
  totals.io_weight = config.io_weight;
  return totals;
}

std::optional<std::string> EndedByLimit(const CgroupUsage& usage, const CgroupLimits& limits) {
  if (usage.out_of_memory == 0) return std::nullopt;
  if (usage.own_memory_limit && limits.memory_octets)
    return Cat("out of memory: the unit's limit of ", *limits.memory_octets / kMiB, " MiB");
  return std::string(
      "out of memory: not the unit's limit, but that of all units together (resources.max_ram_gb) "
      "or the machine's");
}

std::string AlsoMetLimit(const CgroupUsage& usage, const CgroupLimits& limits) {
  if (usage.processes_refused == 0 || !limits.processes) return "";
  return Cat("; it was refused more than ", *limits.processes - kOwnProcesses,
             " processes and threads");
}

std::optional<std::string> MissingCgroup(const Config& config, const CgroupTree* cgroups) {
  if (!config.require_cgroup) return std::nullopt;
  if (cgroups == nullptr) return std::string("layer cgroup is not in force");
  const CgroupFact* missing = cgroups->Missing();
  if (missing == nullptr) return std::nullopt;
  return Cat("layer ", missing->name,
             " is not in force and sandbox.require_cgroup is set: ", missing->remedy);
}

}  // namespace auspex::runnerd
