// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/demand.h"

#include "common/base/status_macros.h"
#include "stated/contact.h"
#include "stated/identity.h"
#include "stated/units.h"

namespace auspex::stated {

absl::StatusOr<Demand> ComputeDemand(Context& context, uint32_t slots, std::string_view strain) {
  Demand demand;
  // Read before the rows: a slot that frees meanwhile brings one more change, never one less.
  demand.generation = context.changes.Version(Topic::kSlotFreed) + 1;
  RETURN_IF_ERROR(context.db.Read([&](Connection& db) -> absl::Status {
    ASSIGN_OR_RETURN(const std::optional<Identity> identity, ReadIdentity(db));
    ASSIGN_OR_RETURN(const ContactRow contact, ReadContact(db));
    ASSIGN_OR_RETURN(const int64_t in_hand,
                     SingleNumber(db, "SELECT COUNT(*) FROM units WHERE state IN (1, 2)"));
    // Results that wait for a quarantine to end are not about to be attempted.
    Statement untried(db, "SELECT COUNT(*) FROM outbox WHERE tried = 0 AND NOT (kind = 1 AND ?)",
                      contact.hold_kind == "quarantine");
    RETURN_IF_ERROR(untried.Step().status());
    demand.outbox_unattempted = static_cast<uint32_t>(untried.Int(0));
    demand.in_hand = static_cast<uint32_t>(in_hand);
    demand.enrolled = identity.has_value();
    if (!demand.enrolled) {
      demand.reason = "not_enrolled";
    } else if (slots == 0) {
      demand.reason = "no_runner";
    } else if (contact.self_paused) {
      demand.reason = "self_paused";
    } else if (!strain.empty()) {
      demand.reason = strain;
    } else if (in_hand >= slots) {
      demand.reason = "busy";
    } else {
      demand.reason = "ready";
      demand.free_slots = slots - static_cast<uint32_t>(in_hand);
    }
    return absl::OkStatus();
  }));
  return demand;
}

}  // namespace auspex::stated
