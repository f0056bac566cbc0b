// SPDX-License-Identifier: AGPL-3.0-only
// ConditionReport: whether runnerd lets units run now, as it last said, held in memory. Safe from
// any thread.
#ifndef AUSPEX_STATED_CONDITION_H_
#define AUSPEX_STATED_CONDITION_H_

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace auspex::stated {

// stated.proto's Condition, checked.
struct Condition {
  std::string_view strain;  // "", "hot", "load", "memory", "disk"; static storage
  std::string reason;
  uint32_t frozen = 0;
  std::vector<std::string> gpu_devices, gpu_tenants;
  friend bool operator==(const Condition&, const Condition&) = default;
};

struct UntrustedCondition {
  std::string strain, reason;
  uint32_t frozen = 0;
  std::vector<std::string> gpu_devices, gpu_tenants;
};

// At most 64 absolute paths below /dev without "..", as a name for shell and log alike; how a
// unit's audit row and status name devices. INVALID_ARGUMENT names what is wrong.
absl::Status CheckDevices(const std::vector<std::string>& untrusted);

class ConditionReport {
 public:
  // INVALID_ARGUMENT names the member. True when it differs from the one before.
  absl::StatusOr<bool> Set(const UntrustedCondition& untrusted);
  Condition Get() const;

 private:
  mutable std::mutex mutex_;
  Condition condition_;
};

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_CONDITION_H_
