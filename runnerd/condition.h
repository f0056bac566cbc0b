// SPDX-License-Identifier: AGPL-3.0-only
// Condition: what stated is told besides capabilities (stated.proto's Condition): whether and how
// many units may run, and who gets devices. A plain value.
#ifndef AUSPEX_RUNNERD_CONDITION_H_
#define AUSPEX_RUNNERD_CONDITION_H_

#include <string>
#include <vector>

namespace auspex::runnerd {

struct Condition {
  std::string strain, reason;  // Verdict's word and reason; empty: units may run
  int slots = 0;               // units that may run at a time
  int frozen = 0;              // running units that stand still meanwhile
  std::vector<std::string> gpu_devices, gpu_tenants;
  friend bool operator==(const Condition&, const Condition&) = default;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_CONDITION_H_
