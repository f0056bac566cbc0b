// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/sandboxes_service.h"

#include "common/config/policy.h"
#include "common/ipc/channel.h"
#include "common/log/log.h"
#include "runnerd/gpu.h"
#include "runnerd/limits_shown.h"
#include "runnerd/sandbox_arguments.h"
#include "runnerd/seccomp_policy.h"
#include "runnerd/shown.h"

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
    entry->set_frozen(running.frozen);
    entry->mutable_devices()->Assign(running.unit.devices.begin(), running.unit.devices.end());
  }
  // Settings that cannot be read count as off, as they do for a unit.
  status->set_execution_policy(std::string(
      ExecutionPolicyWord(config.ok() ? config->execution_policy : ExecutionPolicy::kOff)));
  if (config.ok()) {
    for (const auto& [tenant, policy] : config->tenant_policies)
      (*status->mutable_tenant_policies())[tenant] = ExecutionPolicyWord(policy);
  }
  status->set_announced_policy(std::string(
      ExecutionPolicyWord(config.ok() ? AnnouncedPolicy(*config) : ExecutionPolicy::kOff)));
  if (const std::optional<ProbeResult> probe = isolation_.Last())
    PutLayers(probe->layers, status->mutable_layers());
  const Verdict verdict = governor_.Last();
  status->set_strain(std::string(StrainWord(verdict.strain)));
  status->set_strain_reason(verdict.reason);
  if (config.ok() && GpuIsOn(*config)) {
    status->mutable_gpu_devices()->Assign(config->gpu_devices.begin(), config->gpu_devices.end());
    status->mutable_gpu_tenants()->Assign(config->gpu_tenants.begin(), config->gpu_tenants.end());
  }
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

grpc::Status SandboxesService::Show(grpc::ServerContext*, const v1::ShowRequest*,
                                    v1::ShowResponse* response) {
  SandboxSpec tenant;
  tenant.package_fd = 0;  // each unit has a descriptor of its own; here it only stands for one
  for (const ShownPlace& place : ShownPlaces(host_, tenant)) {
    v1::ShownPlace* entry = response->add_places();
    entry->set_source(place.source);
    entry->set_destination(place.destination);
    entry->set_reason(std::string(place.reason));
  }
  const auto add = [response](std::string_view treatment, std::string_view reason) {
    v1::CallGroup* group = response->add_calls();
    group->set_treatment(std::string(treatment));
    group->set_reason(std::string(reason));
    return group;
  };
  const SeccompPolicy& policy = TenantPolicy();
  for (const SyscallGroup& group : policy.allowed) {
    v1::CallGroup* entry = add("allowed", group.reason);
    for (std::string_view name : group.names) entry->add_names(std::string(name));
  }
  for (const ArgumentRule& rule : policy.ruled)
    add("ruled", rule.reason)->add_names(std::string(rule.name));
  for (const AbsentCall& call : policy.absent)
    add("absent", call.reason)->add_names(std::string(call.name));
  if (const absl::StatusOr<Config> config = load_config_(); config.ok()) {
    for (const LimitInWords& limit : LimitsInWords(*config)) {
      v1::Limit* entry = response->add_limits();
      entry->set_name(limit.name);
      entry->set_value(limit.value);
    }
    for (const std::string& device : config->gpu_devices) response->add_gpu_devices(device);
    for (const std::string& tenant_id : config->gpu_tenants) response->add_gpu_tenants(tenant_id);
    if (GpuIsOn(*config)) response->set_gpu_hsa_override(config->gpu_hsa_override.value_or(""));
  }
  // Soon after the start this waits for the probe that runs already.
  const std::optional<ProbeResult> last = isolation_.Last();
  PutLayers((last ? *last : isolation_.Ensure()).layers, response->mutable_layers());
  return grpc::Status::OK;
}

grpc::Status SandboxesService::SelfTest(grpc::ServerContext* context, const v1::SelfTestRequest*,
                                        grpc::ServerWriter<v1::SelfTestRow>* writer) {
  int broken = 0, rows = 0;
  const absl::Status status = self_test_.Run([&](const SelfTestRow& row) {
    ++rows;
    if (row.verdict == "broken") ++broken;
    v1::SelfTestRow message;
    message.set_name(std::string(row.name));
    message.set_what(std::string(row.what));
    message.set_expected(std::string(row.expected));
    message.set_seen(row.seen);
    message.set_verdict(std::string(row.verdict));
    return !context->IsCancelled() && writer->Write(message);
  });
  LogInfo("self_test", {{"rows", rows},
                        {"broken", broken},
                        {"status", status.ok() ? "whole" : std::string(status.message())}});
  return ToGrpc(status);
}

}  // namespace auspex::runnerd
