// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/channel.h"
#include "stated/service/owner_service.h"

namespace auspex::stated {
namespace {

grpc::Status Answer(const absl::StatusOr<bool>& changed, v1::PolicyResponse* response) {
  if (changed.ok()) response->set_changed(*changed);
  return ToGrpc(changed.status());
}

}  // namespace

grpc::Status PolicyService::AllowTenant(grpc::ServerContext*, const v1::TenantRequest* request,
                                        v1::PolicyResponse* response) {
  return Answer(hub_.policy().AllowTenant(request->tenant_id()), response);
}

grpc::Status PolicyService::DenyTenant(grpc::ServerContext*, const v1::TenantRequest* request,
                                       v1::PolicyResponse* response) {
  return Answer(hub_.policy().DenyTenant(request->tenant_id()), response);
}

grpc::Status PolicyService::ForgetTenant(grpc::ServerContext*, const v1::TenantRequest* request,
                                         v1::PolicyResponse* response) {
  return Answer(hub_.policy().ForgetTenant(request->tenant_id()), response);
}

grpc::Status PolicyService::AcceptExperiment(grpc::ServerContext*,
                                             const v1::AcceptExperimentRequest* request,
                                             v1::PolicyResponse* response) {
  return Answer(hub_.policy().AcceptExperiment(request->experiment_id()), response);
}

grpc::Status PolicyService::WithdrawAcceptance(grpc::ServerContext*,
                                               const v1::AcceptExperimentRequest* request,
                                               v1::PolicyResponse* response) {
  return Answer(hub_.policy().WithdrawAcceptance(request->experiment_id()), response);
}

grpc::Status PolicyService::ClearPin(grpc::ServerContext*,
                                     const v1::AcceptExperimentRequest* request,
                                     v1::PolicyResponse* response) {
  return Answer(hub_.policy().ClearPin(request->experiment_id()), response);
}

grpc::Status PolicyService::RefuseUnit(grpc::ServerContext*, const v1::OwnerRefuseRequest* request,
                                       v1::OwnerRefuseResponse* response) {
  const absl::StatusOr<uint32_t> ended =
      hub_.work().OwnerRefuse(request->unit_id(), request->reason());
  if (ended.ok()) response->set_units_ended(*ended);
  return ToGrpc(ended.status());
}

grpc::Status PolicyService::SetSelfPause(grpc::ServerContext*,
                                         const v1::SetSelfPauseRequest* request,
                                         v1::PolicyResponse* response) {
  return Answer(hub_.policy().SetSelfPause(request->paused()), response);
}

grpc::Status PolicyService::RecordAbort(grpc::ServerContext*, const v1::RecordAbortRequest* request,
                                        v1::PolicyResponse* response) {
  return Answer(hub_.policy().RecordAbort(request->unit_id(), request->action(), request->reason()),
                response);
}

grpc::Status PolicyService::Forget(grpc::ServerContext*, const v1::ForgetRequest*,
                                   v1::PolicyResponse* response) {
  const absl::Status status = hub_.Forget();
  response->set_changed(status.ok());
  return ToGrpc(status);
}

}  // namespace auspex::stated
