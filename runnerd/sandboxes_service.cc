// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/sandboxes_service.h"

#include "common/ipc/channel.h"
#include "common/log/log.h"

namespace auspex::runnerd {
namespace {

void PutLayers(const std::vector<IsolationLayer>& layers,
               google::protobuf::RepeatedPtrField<v1::Layer>* out) {
  for (const IsolationLayer& layer : layers) {
    v1::Layer* entry = out->Add();
    entry->set_name(layer.name);
    entry->set_in_force(layer.in_force);
    entry->set_required(layer.required);
    entry->set_remedy(layer.remedy);
  }
}

}  // namespace

grpc::Status SandboxesService::GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*,
                                         v1::SandboxStatus* status) {
  const absl::StatusOr<Config> config = load_config_();
  status->set_slots(static_cast<uint32_t>(slots_.count()));
  for (const Slots::Running& running : slots_.ListRunning()) {
    v1::RunningUnit* entry = status->add_running();
    entry->set_unit_id(running.unit.unit_id.str());
    entry->set_assignment_id(running.unit.assignment_id.str());
    entry->set_tenant_id(running.unit.tenant_id.str());
    entry->set_started_at_unix_micros(running.started_at_micros);
  }
  // Settings that cannot be read count as off, as they do for a unit.
  status->set_execution_policy(std::string(
      ExecutionPolicyWord(config.ok() ? config->execution_policy : ExecutionPolicy::kOff)));
  if (const std::optional<ProbeResult> probe = isolation_.Last())
    PutLayers(probe->layers, status->mutable_layers());
  status->set_ran_under(!config.ok() || config->use_bubblewrap ? "strict" : "permissive");
  return grpc::Status::OK;
}

grpc::Status SandboxesService::Abort(grpc::ServerContext*, const v1::AbortRequest* request,
                                     v1::AbortResponse* response) {
  const absl::StatusOr<UnitId> unit_id = UnitId::Parse(request->unit_id());
  if (!unit_id.ok()) return ToGrpc(unit_id.status());
  const double grace = request->grace_seconds();
  if (!(grace >= 0 && grace <= 600)) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "grace_seconds: is not in 0..600");
  }
  switch (slots_.Abort(*unit_id, grace)) {
    case Slots::AbortOutcome::kNotRunning:
      response->set_outcome("abort_not_running");
      break;
    case Slots::AbortOutcome::kTerminated:
      response->set_outcome("aborted_sigterm");
      break;
    case Slots::AbortOutcome::kKilled:
      response->set_outcome("aborted_sigkill");
      break;
  }
  LogInfo("abort", {{"unit", unit_id->str()}, {"outcome", response->outcome()}});
  return grpc::Status::OK;
}

grpc::Status SandboxesService::Probe(grpc::ServerContext*, const v1::ProbeRequest*,
                                     v1::ProbeResponse* response) {
  const ProbeResult result = isolation_.Refresh();
  response->set_ok(result.ok);
  response->set_failure(result.failure);
  PutLayers(result.layers, response->mutable_layers());
  return grpc::Status::OK;
}

}  // namespace auspex::runnerd
