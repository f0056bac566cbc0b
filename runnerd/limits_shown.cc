// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/limits_shown.h"

#include <cstdio>

#include "common/base/cat.h"
#include "runnerd/executor_call.h"

namespace auspex::runnerd {
namespace {

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}

}  // namespace

std::vector<LimitInWords> LimitsInWords(const Config& config) {
  const bool limited = config.resource_limits;
  const auto if_limited = [limited](std::string value) {
    return limited ? std::move(value) : std::string("none (sandbox.resource_limits is false)");
  };
  return {
      {"wall clock", Cat(Number(WallSeconds(config)), " s")},
      {"memory", if_limited(Cat(config.memory_max_mb, " MiB"))},
      {"swap, by cgroup v2 alone", if_limited(Cat(config.swap_max_mb, " MiB"))},
      {"processors, by cgroup v2 alone",
       if_limited(config.cpu_cores ? Number(*config.cpu_cores) : "none")},
      {"processes and threads", if_limited(Cat(config.pids_max))},
      {"processor time of a process",
       if_limited(config.cpu_seconds ? Cat(*config.cpu_seconds, " s") : "none")},
      {"scratch", config.scratch_mb ? Cat(*config.scratch_mb, " MiB")
                                    : "a quarter of the memory, 64 to 1024 MiB"},
      {"files in scratch", Cat(config.scratch_files)},
      {"output file", Cat(config.output_max_kb, " KiB")},
  };
}

}  // namespace auspex::runnerd
