// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/service/work_service.h"

#include <unistd.h>

#include <cerrno>

#include "common/base/errno_status.h"
#include "common/ipc/channel.h"
#include "stated/service/convert.h"

namespace auspex::stated {
namespace {

constexpr std::chrono::minutes kPackagePatience{15};
constexpr size_t kChunkOctets = 256 * 1024;

void ToProto(WorkItem item, v1::WorkItem& out) {
  if (auto* end = std::get_if<EndUnit>(&item)) {
    out.mutable_end()->set_assignment_id(std::move(end->assignment_id));
    out.mutable_end()->set_reason(std::move(end->reason));
    return;
  }
  auto& run = std::get<RunUnit>(item);
  auto& message = *out.mutable_run();
  message.set_assignment_id(std::move(run.unit.assignment_id));
  message.set_experiment_id(std::move(run.unit.experiment_id));
  message.set_unit_id(std::move(run.unit.unit_id));
  message.set_tenant_id(std::move(run.unit.tenant_id));
  message.set_experiment_label(std::move(run.unit.experiment_label));
  message.set_manifest_sha256(std::move(run.unit.manifest_sha256));
  message.set_created_at(std::move(run.unit.created_at));
  message.set_canonical_payload(std::move(run.canonical_payload));
  message.set_sensitive_accepted(run.sensitive_accepted);
}

}  // namespace

grpc::Status WorkService::WatchWork(grpc::ServerContext* context,
                                    const v1::WatchWorkRequest* request,
                                    grpc::ServerWriter<v1::WorkItem>* writer) {
  const absl::StatusOr<std::unique_ptr<WorkQueue::Session>> session =
      hub_.work().Open(request->slots());
  if (!session.ok()) return ToGrpc(session.status());
  while (!context->IsCancelled()) {
    absl::StatusOr<std::optional<WorkItem>> item = (*session)->Next(kStreamBeat);
    if (!item.ok()) return ToGrpc(item.status());
    if (!item->has_value()) continue;
    v1::WorkItem message;
    ToProto(**std::move(item), message);
    if (!writer->Write(message)) break;
  }
  return grpc::Status::OK;
}

grpc::Status WorkService::BeginUnit(grpc::ServerContext*, const v1::BeginUnitRequest* request,
                                    v1::BeginUnitResponse*) {
  return ToGrpc(hub_.work().Begin(request->assignment_id(),
                                  {request->devices().begin(), request->devices().end()}));
}

grpc::Status WorkService::CompleteUnit(grpc::ServerContext*, const v1::CompleteUnitRequest* request,
                                       v1::CompleteUnitResponse*) {
  UntrustedCompletion completion;
  completion.assignment_id = request->assignment_id();
  completion.completed_at = request->completed_at();
  completion.exit_code = request->exit_code();
  completion.canonical_payload = request->canonical_payload();
  completion.schema_version = request->schema_version();
  completion.served_weights.insert(request->served_weights().begin(),
                                   request->served_weights().end());
  completion.ran_under = request->ran_under();
  completion.worker_pubkey = request->worker_pubkey();
  completion.worker_signature = request->worker_signature();
  completion.result_sha256 = request->result_sha256();
  completion.raw_response = request->raw_response();
  completion.raw_signature = request->raw_signature();
  return ToGrpc(hub_.work().Complete(completion));
}

grpc::Status WorkService::RefuseUnit(grpc::ServerContext*, const v1::RefuseUnitRequest* request,
                                     v1::RefuseUnitResponse*) {
  return ToGrpc(hub_.work().Refuse(request->assignment_id(), request->kind(), request->reason()));
}

grpc::Status WorkService::GetPackage(grpc::ServerContext* context,
                                     const v1::GetPackageRequest* request,
                                     grpc::ServerWriter<v1::PackageChunk>* writer) {
  const absl::StatusOr<UniqueFd> file = hub_.packages().Get(
      request->manifest_sha256(), kPackagePatience, [context] { return context->IsCancelled(); });
  if (!file.ok()) return ToGrpc(file.status());
  std::string buffer(kChunkOctets, '\0');
  while (true) {
    const ssize_t got = ::read(file->get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ToGrpc(ErrnoStatus(errno, "read", "a spooled package"));
    if (got == 0) return grpc::Status::OK;
    v1::PackageChunk chunk;
    chunk.set_chunk(buffer.data(), static_cast<size_t>(got));
    if (!writer->Write(chunk)) return grpc::Status::OK;
  }
}

grpc::Status WorkService::DropPackage(grpc::ServerContext*, const v1::GetPackageRequest* request,
                                      v1::DropPackageResponse*) {
  return ToGrpc(hub_.packages().Drop(request->manifest_sha256()));
}

grpc::Status WorkService::ReportCapabilities(grpc::ServerContext*, const v1::Capabilities* request,
                                             v1::ReportCapabilitiesResponse*) {
  const absl::Status status = hub_.capabilities().Set(request->canonical_json());
  if (status.ok()) hub_.context().changes.Notify({Topic::kDemand, Topic::kStatus});
  return ToGrpc(status);
}

grpc::Status WorkService::ReportCondition(grpc::ServerContext*, const v1::Condition* request,
                                          v1::ReportConditionResponse*) {
  UntrustedCondition condition;
  condition.strain = request->strain();
  condition.reason = request->reason();
  condition.frozen = request->frozen();
  condition.gpu_devices.assign(request->gpu_devices().begin(), request->gpu_devices().end());
  condition.gpu_tenants.assign(request->gpu_tenants().begin(), request->gpu_tenants().end());
  if (request->slots() != 0) {
    if (const absl::Status status = hub_.work().SetSlots(request->slots()); !status.ok())
      return ToGrpc(status);
  }
  const absl::StatusOr<bool> changed = hub_.condition().Set(condition);
  // Slots are as good as freed when a strain ends: netd is to ask at once.
  if (changed.ok() && *changed)
    hub_.context().changes.Notify({Topic::kSlotFreed, Topic::kDemand, Topic::kStatus});
  return ToGrpc(changed.status());
}

}  // namespace auspex::stated
