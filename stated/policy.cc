// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/policy.h"

#include <algorithm>
#include <array>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/ids/ids.h"
#include "common/log/log.h"
#include "common/wire/refusal.h"
#include "stated/identity.h"
#include "stated/units.h"

namespace auspex::stated {
namespace {

constexpr std::array<std::string_view, 7> kAbortActions{
    "abort_not_running", "abort_no_workspace", "abort_no_pid",        "abort_already_exited",
    "aborted_sigterm",   "aborted_sigkill",    "aborted_sigterm_race"};

// Audit rows about a tenant or an experiment alone.
UnitRow About(std::string_view tenant, std::string_view experiment) {
  UnitRow unit;
  unit.tenant_id = tenant;
  unit.experiment_id = experiment;
  return unit;
}

}  // namespace

absl::StatusOr<bool> Policy::ListTenant(std::string_view untrusted_tenant, std::string_view list) {
  ASSIGN_OR_RETURN(const TenantId tenant, TenantId::Parse(untrusted_tenant));
  bool changed = false;
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) -> absl::Status {
    const int64_t now = context_.clock.NowMicros();
    RETURN_IF_ERROR(
        Statement(db, "INSERT OR IGNORE INTO tenants (tenant_id, list, added_at) VALUES (?, ?, ?)",
                  tenant.str(), list, now)
            .Run());
    changed = db.RowsChanged() > 0;
    if (!changed) return absl::OkStatus();
    return WriteAudit(db, list == "allow" ? "owner_allowed_tenant" : "owner_denied_tenant",
                      About(tenant.str(), ""), "", now);
  }));
  LogInfo("tenant_listed", {{"tenant", tenant.str()}, {"list", list}});
  context_.changes.Notify({Topic::kStatus});
  return changed;
}

absl::StatusOr<bool> Policy::AllowTenant(std::string_view untrusted_tenant) {
  return ListTenant(untrusted_tenant, "allow");
}
absl::StatusOr<bool> Policy::DenyTenant(std::string_view untrusted_tenant) {
  return ListTenant(untrusted_tenant, "deny");
}

absl::StatusOr<bool> Policy::ForgetTenant(std::string_view untrusted_tenant) {
  ASSIGN_OR_RETURN(const TenantId tenant, TenantId::Parse(untrusted_tenant));
  bool changed = false;
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) -> absl::Status {
    RETURN_IF_ERROR(Statement(db, "DELETE FROM tenants WHERE tenant_id = ?", tenant.str()).Run());
    changed = db.RowsChanged() > 0;
    if (!changed) return absl::OkStatus();
    return WriteAudit(db, "owner_forgot_tenant", About(tenant.str(), ""), "",
                      context_.clock.NowMicros());
  }));
  context_.changes.Notify({Topic::kStatus});
  return changed;
}

absl::StatusOr<bool> Policy::AcceptExperiment(std::string_view untrusted_experiment) {
  ASSIGN_OR_RETURN(const ExperimentId experiment, ExperimentId::Parse(untrusted_experiment));
  bool changed = false;
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) -> absl::Status {
    const int64_t now = context_.clock.NowMicros();
    RETURN_IF_ERROR(
        Statement(db,
                  "INSERT OR IGNORE INTO accepted_experiments (experiment_id, accepted_at)"
                  " VALUES (?, ?)",
                  experiment.str(), now)
            .Run());
    changed = db.RowsChanged() > 0;
    if (!changed) return absl::OkStatus();
    return WriteAudit(db, "owner_accepted_experiment", About("", experiment.str()), "", now);
  }));
  context_.changes.Notify({Topic::kStatus});
  return changed;
}

absl::StatusOr<bool> Policy::WithdrawAcceptance(std::string_view untrusted_experiment) {
  ASSIGN_OR_RETURN(const ExperimentId experiment, ExperimentId::Parse(untrusted_experiment));
  bool changed = false;
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) -> absl::Status {
    RETURN_IF_ERROR(
        Statement(db, "DELETE FROM accepted_experiments WHERE experiment_id = ?", experiment.str())
            .Run());
    changed = db.RowsChanged() > 0;
    if (!changed) return absl::OkStatus();
    return WriteAudit(db, "owner_withdrew_acceptance", About("", experiment.str()), "",
                      context_.clock.NowMicros());
  }));
  context_.changes.Notify({Topic::kStatus});
  return changed;
}

absl::StatusOr<bool> Policy::ClearPin(std::string_view untrusted_experiment) {
  ASSIGN_OR_RETURN(const ExperimentId experiment, ExperimentId::Parse(untrusted_experiment));
  bool changed = false;
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) -> absl::Status {
    RETURN_IF_ERROR(
        Statement(db, "DELETE FROM manifest_pins WHERE experiment_id = ?", experiment.str()).Run());
    changed = db.RowsChanged() > 0;
    if (!changed) return absl::OkStatus();
    return WriteAudit(db, "owner_cleared_pin", About("", experiment.str()), "",
                      context_.clock.NowMicros());
  }));
  context_.changes.Notify({Topic::kStatus});
  return changed;
}

absl::StatusOr<bool> Policy::SetSelfPause(bool paused) {
  bool changed = false;
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) -> absl::Status {
    RETURN_IF_ERROR(RequireIdentity(db).status());
    RETURN_IF_ERROR(
        Statement(db, "UPDATE contact SET self_paused = ? WHERE self_paused <> ?", paused, paused)
            .Run());
    changed = db.RowsChanged() > 0;
    if (!changed) return absl::OkStatus();
    return WriteAudit(db, paused ? "owner_paused" : "owner_unpaused", UnitRow{}, "",
                      context_.clock.NowMicros());
  }));
  if (changed) LogInfo(paused ? "self_paused" : "self_unpaused");
  if (!paused) context_.changes.Notify({Topic::kSlotFreed});
  context_.changes.Notify({Topic::kStatus, Topic::kDemand, Topic::kWork});
  return changed;
}

absl::StatusOr<bool> Policy::RecordAbort(std::string_view untrusted_unit, std::string_view action,
                                         std::string_view untrusted_reason) {
  ASSIGN_OR_RETURN(const UnitId unit, UnitId::Parse(untrusted_unit));
  if (std::find(kAbortActions.begin(), kAbortActions.end(), action) == kAbortActions.end()) {
    return absl::InvalidArgumentError(
        Cat("action: '", Printable(action), "' is not an abort's outcome"));
  }
  UnitRow row;
  row.unit_id = unit.str();
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) {
    return WriteAudit(db, action, row, CleanReason(untrusted_reason), context_.clock.NowMicros());
  }));
  context_.changes.Notify({Topic::kStatus});
  return true;
}

}  // namespace auspex::stated
