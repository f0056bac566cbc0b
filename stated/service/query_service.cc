// SPDX-License-Identifier: AGPL-3.0-only
#include "common/base/encoding.h"
#include "common/ipc/channel.h"
#include "stated/listings.h"
#include "stated/service/convert.h"
#include "stated/service/owner_service.h"

namespace auspex::stated {
namespace {

// At most ten messages a second.
constexpr int64_t kStatusPeriodMicros = 100'000;

void ToProto(const StatusReport& report, v1::Status& out) {
  ToProto(report.identity, *out.mutable_identity());
  const ContactRow& contact = report.contact;
  out.set_state(std::string(report.state));
  out.set_state_reason(report.state_reason);
  out.set_last_heartbeat_at(TimeText(contact.last_heartbeat_at));
  out.set_last_heartbeat_error(contact.last_heartbeat_error);
  out.set_last_poll_error(contact.last_poll_error);
  out.set_idle_code(contact.idle_code);
  out.set_slots(report.slots);
  out.set_units_accepted(static_cast<uint32_t>(report.units_accepted));
  out.set_units_running(static_cast<uint32_t>(report.units_running));
  out.set_outbox_results(static_cast<uint32_t>(report.outbox_results));
  out.set_outbox_refusals(static_cast<uint32_t>(report.outbox_refusals));
  out.set_results_submitted(static_cast<uint64_t>(report.results_submitted));
  out.set_results_terminal(static_cast<uint64_t>(report.results_terminal));
  out.set_experiments(static_cast<uint64_t>(report.experiments));
  out.set_receipts_placeholder(static_cast<uint64_t>(report.receipts_placeholder));
  out.set_receipts_canonical(static_cast<uint64_t>(report.receipts_canonical));
  out.set_receipts_none(static_cast<uint64_t>(report.receipts_none));
  out.set_receipts_bad(static_cast<uint64_t>(report.receipts_bad));
  out.set_refusals(static_cast<uint64_t>(report.refusals));
  out.set_hold_kind(contact.hold_kind);
  out.set_hold_reason(contact.hold_reason);
  out.set_hold_at(TimeText(contact.hold_at));
  out.set_self_paused(contact.self_paused);
  if (!contact.release_version.empty()) {
    out.mutable_latest_release()->set_version(contact.release_version);
    out.mutable_latest_release()->set_headline(contact.release_headline);
    out.mutable_latest_release()->set_release_url(contact.release_url);
  }
  out.set_thermal_temp_c(report.thermal.temp_c);
  out.set_thermal_state(report.thermal.state);
  out.set_netd_connected(report.netd_connected);
  out.set_units_frozen(report.condition.frozen);
  const Condition& condition = report.condition;
  out.mutable_gpu_devices()->Assign(condition.gpu_devices.begin(), condition.gpu_devices.end());
  out.mutable_gpu_tenants()->Assign(condition.gpu_tenants.begin(), condition.gpu_tenants.end());
}

void ToProto(const ResultRow& row, v1::Result& out) {
  out.set_unit_id(row.unit_id);
  out.set_result_id(row.result_id);
  out.set_assignment_id(row.assignment_id);
  out.set_tenant_id(row.tenant_id);
  out.set_experiment_id(row.experiment_id);
  out.set_submitted_at(TimeText(row.submitted_at));
  out.set_completed_at(row.completed_at);
  out.set_exit_code(static_cast<int32_t>(row.exit_code));
  out.set_receipt_status(std::string(ReceiptStatusWord(row.receipt_status)));
  out.set_receipt_note(row.receipt_note);
  if (row.receipt_status == ReceiptStatus::kCanonical)
    out.set_canonical_format(std::string(kReceiptFormat));
  out.set_canonical_blob(row.receipt);
  out.set_canonical_fetched_at(TimeText(row.receipt_fetched_at));
  out.set_unit_status_after(row.unit_status_after);
  out.set_completions_so_far(row.completions_so_far);
  out.set_replication_target(row.replication_target);
  out.set_canonical_payload(row.canonical_payload);
  out.set_result_sha256(row.result_sha256);
  out.set_receipt_signer(row.receipt_signer);
  out.set_agreeing_workers(row.agreeing_workers);
}

}  // namespace

grpc::Status QueryService::GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*,
                                     v1::Status* response) {
  const absl::StatusOr<StatusReport> report = hub_.StatusNow();
  if (report.ok()) ToProto(*report, *response);
  return ToGrpc(report.status());
}

grpc::Status QueryService::WatchStatus(grpc::ServerContext* context, const v1::GetStatusRequest*,
                                       grpc::ServerWriter<v1::Status>* writer) {
  Changes& changes = hub_.context().changes;
  while (!context->IsCancelled()) {
    if (changes.stopped()) return ToGrpc(absl::UnavailableError("stated is stopping"));
    const uint64_t seen = changes.Version(Topic::kStatus);
    const bool offline = hub_.contact().Offline();
    const absl::StatusOr<StatusReport> report = hub_.StatusNow();
    if (!report.ok()) return ToGrpc(report.status());
    v1::Status message;
    ToProto(*report, message);
    if (!writer->Write(message)) break;
    const int64_t sent_at = Clock::System().MonotonicMicros();
    // "offline" comes with time alone, everything else with a change.
    while (!context->IsCancelled() && !changes.stopped() && hub_.contact().Offline() == offline &&
           changes.Wait(Topic::kStatus, seen, kStreamBeat) == seen) {
    }
    // Changes that come close together are shown as one.
    while (!context->IsCancelled() && !changes.stopped()) {
      const int64_t left = sent_at + kStatusPeriodMicros - Clock::System().MonotonicMicros();
      if (left <= 0) break;
      changes.Wait(Topic::kStatus, changes.Version(Topic::kStatus),
                   std::chrono::microseconds(left));
    }
  }
  return grpc::Status::OK;
}

grpc::Status QueryService::ListAudit(grpc::ServerContext*, const v1::ListAuditRequest* request,
                                     v1::ListAuditResponse* response) {
  AuditFilter filter;
  filter.limit = request->limit();
  filter.unit_id = request->unit_id();
  filter.action = request->action();
  filter.since = request->since_unix_micros();
  const absl::StatusOr<std::vector<AuditRow>> rows =
      auspex::stated::ListAudit(hub_.context(), filter);
  if (!rows.ok()) return ToGrpc(rows.status());
  for (const AuditRow& row : *rows) {
    v1::AuditRow& out = *response->add_rows();
    out.set_id(static_cast<uint64_t>(row.id));
    out.set_occurred_at(FormatWireTime(row.occurred_at));
    out.set_action(row.action);
    out.set_unit_id(row.unit_id);
    out.set_assignment_id(row.assignment_id);
    out.set_experiment_id(row.experiment_id);
    out.set_tenant_id(row.tenant_id);
    out.set_manifest_sha256(row.manifest_sha256);
    out.set_reason(row.reason);
  }
  return grpc::Status::OK;
}

grpc::Status QueryService::ListUnits(grpc::ServerContext*, const v1::ListUnitsRequest* request,
                                     v1::ListUnitsResponse* response) {
  const absl::StatusOr<std::vector<ListedUnit>> units =
      auspex::stated::ListUnits(hub_.context(), request->all(), request->limit());
  if (!units.ok()) return ToGrpc(units.status());
  for (const ListedUnit& listed : *units) {
    v1::Unit& out = *response->add_units();
    out.set_assignment_id(listed.unit.assignment_id);
    out.set_unit_id(listed.unit.unit_id);
    out.set_tenant_id(listed.unit.tenant_id);
    out.set_experiment_id(listed.unit.experiment_id);
    out.set_experiment_label(listed.unit.experiment_label);
    out.set_manifest_sha256(listed.unit.manifest_sha256);
    out.set_state(std::string(UnitStateWord(listed.unit.state)));
    out.set_offered_at(FormatWireTime(listed.unit.offered_at));
    out.set_note(listed.last_error.empty() ? listed.unit.note : listed.last_error);
    out.set_attempts(static_cast<uint32_t>(listed.attempts));
  }
  return grpc::Status::OK;
}

grpc::Status QueryService::ListResults(grpc::ServerContext*, const v1::ListResultsRequest* request,
                                       v1::ListResultsResponse* response) {
  ResultFilter filter;
  filter.limit = request->limit();
  filter.since = request->since_unix_micros();
  filter.tenant_id = request->tenant_id();
  const absl::StatusOr<std::vector<ResultRow>> rows =
      auspex::stated::ListResults(hub_.context(), filter);
  if (!rows.ok()) return ToGrpc(rows.status());
  for (const ResultRow& row : *rows) ToProto(row, *response->add_results());
  return grpc::Status::OK;
}

grpc::Status QueryService::GetResult(grpc::ServerContext*, const v1::GetResultRequest* request,
                                     v1::Result* response) {
  const absl::StatusOr<ResultRow> row =
      auspex::stated::GetResult(hub_.context(), request->identifier());
  if (row.ok()) ToProto(*row, *response);
  return ToGrpc(row.status());
}

grpc::Status QueryService::ListTenants(grpc::ServerContext*, const v1::ListTenantsRequest*,
                                       v1::ListTenantsResponse* response) {
  const absl::StatusOr<TenantLists> lists = auspex::stated::ListTenants(hub_.context());
  if (!lists.ok()) return ToGrpc(lists.status());
  for (const std::string& tenant : lists->allowed) response->add_allowed(tenant);
  for (const std::string& tenant : lists->denied) response->add_denied(tenant);
  return grpc::Status::OK;
}

}  // namespace auspex::stated
