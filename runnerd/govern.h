// SPDX-License-Identifier: AGPL-3.0-only
// What follows from the governor's verdict: the orders to the slots, and what stated is told.
// Functions, any thread.
#ifndef AUSPEX_RUNNERD_GOVERN_H_
#define AUSPEX_RUNNERD_GOVERN_H_

#include "common/config/config.h"
#include "runnerd/condition.h"
#include "runnerd/governor.h"
#include "runnerd/slots.h"

namespace auspex::runnerd {

// `can_freeze`: whether this host can freeze units at all.
Slots::Orders OrdersFor(const Verdict& verdict, const Config& config, bool can_freeze);
Condition ConditionNow(const Verdict& verdict, const Slots& slots, const Config& config);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_GOVERN_H_
