// SPDX-License-Identifier: AGPL-3.0-only
// The worker's status in one piece (promise P12): the one-word state, why, and the counts, read on
// one snapshot without loading rows. A plain function; any thread.
#ifndef AUSPEX_STATED_STATUS_H_
#define AUSPEX_STATED_STATUS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "stated/capabilities.h"
#include "stated/condition.h"
#include "stated/contact.h"
#include "stated/context.h"
#include "stated/identity.h"

namespace auspex::stated {

struct StatusReport {
  std::optional<Identity> identity;
  std::string_view state;  // one of the words of stated.proto; static storage
  std::string state_reason;
  ContactRow contact;
  uint32_t slots = 0;
  bool netd_connected = false;
  CapabilityReport::Thermal thermal;
  Condition condition;
  int64_t units_accepted = 0, units_running = 0, outbox_results = 0, outbox_refusals = 0;
  int64_t results_submitted = 0, results_terminal = 0, experiments = 0, refusals = 0;
  int64_t receipts_placeholder = 0, receipts_canonical = 0, receipts_none = 0, receipts_bad = 0;
};

// What status needs that is not in the database.
struct LiveState {
  uint32_t slots = 0;
  bool netd_connected = false;
  bool offline = false;
  CapabilityReport::Thermal thermal;
  Condition condition;
};

absl::StatusOr<StatusReport> ComputeStatus(Context& context, const LiveState& live);

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_STATUS_H_
