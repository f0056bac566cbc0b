// SPDX-License-Identifier: AGPL-3.0-only
// CapabilityReport: what runnerd last reported of the machine (wire protocol section 8), held in
// memory, and the object that a heartbeat carries: the report with the owner's pause. Safe from any
// thread.
#ifndef AUSPEX_STATED_CAPABILITIES_H_
#define AUSPEX_STATED_CAPABILITIES_H_

#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/json/value.h"

namespace auspex::stated {

class CapabilityReport {
 public:
  CapabilityReport();
  // INVALID_ARGUMENT unless the text is one canonical JSON object of at most 64 KiB. A self_paused
  // member is left out: the owner's pause is kept here, not there.
  absl::Status Set(std::string_view untrusted_canonical_json);
  // Whether a runnerd has said what this worker can do since stated started.
  bool told() const;
  // The object for a heartbeat, canonical. self_paused is there, and true, exactly when
  // `self_paused`.
  std::string ForHeartbeat(bool self_paused) const;

  struct Thermal {
    double temp_c = 0;  // 0: no sensor
    std::string state;  // "ok", "warm", "critical", or empty
  };
  Thermal thermal() const;

 private:
  mutable std::mutex mutex_;
  JsonObject report_;  // guarded by mutex_
  bool told_ = false;  // guarded by mutex_
};

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_CAPABILITIES_H_
