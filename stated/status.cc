// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/status.h"

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "stated/units.h"

namespace auspex::stated {
namespace {

// First match wins.
void NameState(StatusReport& report, const LiveState& live) {
  const auto is = [&](std::string_view state, std::string reason) {
    report.state = state;
    report.state_reason = std::move(reason);
  };
  const ContactRow& contact = report.contact;
  if (!report.identity.has_value()) return is("not_enrolled", "");
  if (contact.hold_kind == "quarantine") return is("quarantined", contact.hold_reason);
  if (contact.hold_kind == "pause") return is("paused_by_operator", contact.hold_reason);
  if (contact.self_paused) return is("self_paused", "paused by the owner");
  const Condition& condition = live.condition;
  if (condition.strain == "hot") return is("overheating", condition.reason);
  if (live.thermal.state == "critical") return is("overheating", "the hottest sensor is critical");
  if (!condition.strain.empty()) return is(condition.strain, condition.reason);
  if (live.offline) {
    if (!live.netd_connected) return is("offline", "netd is not connected");
    if (!contact.last_heartbeat_error.empty()) return is("offline", contact.last_heartbeat_error);
    return is("offline", "no heartbeat was answered for 3 minutes");
  }
  if (report.units_running > 0) return is("running", "");
  // Both loops fail: nothing will come, whatever the last good answer was.
  if (!contact.last_heartbeat_error.empty() && !contact.last_poll_error.empty()) {
    return is("offline", contact.last_poll_error);
  }
  if (live.slots == 0) return is("no_runner", "runnerd is not connected");
  is("idle", contact.last_poll_error.empty() ? contact.idle_code : contact.last_poll_error);
}

}  // namespace

absl::StatusOr<StatusReport> ComputeStatus(Context& context, const LiveState& live) {
  StatusReport report;
  report.slots = live.slots;
  report.netd_connected = live.netd_connected;
  report.thermal = live.thermal;
  report.condition = live.condition;
  RETURN_IF_ERROR(context.db.Read([&](Connection& db) -> absl::Status {
    ASSIGN_OR_RETURN(report.identity, ReadIdentity(db));
    ASSIGN_OR_RETURN(report.contact, ReadContact(db));
    ASSIGN_OR_RETURN(report.units_accepted,
                     SingleNumber(db, "SELECT COUNT(*) FROM units WHERE state = 1"));
    ASSIGN_OR_RETURN(report.units_running,
                     SingleNumber(db, "SELECT COUNT(*) FROM units WHERE state = 2"));
    ASSIGN_OR_RETURN(report.outbox_results,
                     SingleNumber(db, "SELECT COUNT(*) FROM outbox WHERE kind = 1"));
    ASSIGN_OR_RETURN(report.outbox_refusals,
                     SingleNumber(db, "SELECT COUNT(*) FROM outbox WHERE kind = 2"));
    ASSIGN_OR_RETURN(report.results_submitted, ReadCounter(db, Counter::kResultsSubmitted));
    ASSIGN_OR_RETURN(report.results_terminal, ReadCounter(db, Counter::kResultsTerminal));
    ASSIGN_OR_RETURN(report.experiments, ReadCounter(db, Counter::kExperiments));
    ASSIGN_OR_RETURN(report.refusals, ReadCounter(db, Counter::kRefusals));
    ASSIGN_OR_RETURN(report.receipts_placeholder, ReadCounter(db, Counter::kReceiptsPlaceholder));
    ASSIGN_OR_RETURN(report.receipts_canonical, ReadCounter(db, Counter::kReceiptsCanonical));
    ASSIGN_OR_RETURN(report.receipts_none, ReadCounter(db, Counter::kReceiptsNone));
    ASSIGN_OR_RETURN(report.receipts_bad, ReadCounter(db, Counter::kReceiptsBad));
    return absl::OkStatus();
  }));
  NameState(report, live);
  return report;
}

}  // namespace auspex::stated
