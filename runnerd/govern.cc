// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/govern.h"

#include "runnerd/gpu.h"

namespace auspex::runnerd {
namespace {

EndReason EndOf(Strain strain) {
  switch (strain) {
    case Strain::kNone:
      return EndReason::kNone;
    case Strain::kHot:
      return EndReason::kThermal;
    case Strain::kLoad:
      return EndReason::kLoad;
    case Strain::kMemory:
      return EndReason::kMemory;
    case Strain::kDisk:
      return EndReason::kDisk;
  }
  return EndReason::kNone;
}

}  // namespace

Slots::Orders OrdersFor(const Verdict& verdict, const Config& config, bool can_freeze) {
  Slots::Orders orders;
  orders.strain = EndOf(verdict.strain);
  // A unit that comes while it is hot is refused: wire protocol 6.4 begins with that check.
  orders.hold = verdict.strain != Strain::kHot;
  orders.freeze = config.freeze && can_freeze;
  orders.max_frozen_seconds = config.max_frozen_seconds;
  return orders;
}

Condition ConditionNow(const Verdict& verdict, const Slots& slots, const Config& config) {
  Condition condition;
  condition.strain = StrainWord(verdict.strain);
  condition.reason = verdict.reason;
  condition.slots = slots.count();
  condition.frozen = slots.CountFrozen();
  if (GpuIsOn(config)) {
    condition.gpu_devices = config.gpu_devices;
    condition.gpu_tenants = config.gpu_tenants;
  }
  return condition;
}

}  // namespace auspex::runnerd
