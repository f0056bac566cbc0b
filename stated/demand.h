// SPDX-License-Identifier: AGPL-3.0-only
// Whether netd may ask for work, computed from what is committed. A plain function; any thread.
#ifndef AUSPEX_STATED_DEMAND_H_
#define AUSPEX_STATED_DEMAND_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "stated/context.h"

namespace auspex::stated {

// As stated.proto's Demand says.
struct Demand {
  uint32_t free_slots = 0;
  uint64_t generation = 0;
  std::string_view reason;  // static storage
  bool enrolled = false;
  uint32_t in_hand = 0;
  uint32_t outbox_unattempted = 0;
  friend bool operator==(const Demand&, const Demand&) = default;
};

// `slots` is what the runner declared; 0: there is none. `strain` is the word of its condition, of
// static storage; empty: units may run.
absl::StatusOr<Demand> ComputeDemand(Context& context, uint32_t slots,
                                     std::string_view strain = "");

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_DEMAND_H_
