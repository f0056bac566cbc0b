// SPDX-License-Identifier: AGPL-3.0-only
// The services of role "owner": they translate messages to calls of the Hub and back. The Hub must
// outlive them. Called from gRPC's threads.
#ifndef AUSPEX_STATED_SERVICE_OWNER_SERVICE_H_
#define AUSPEX_STATED_SERVICE_OWNER_SERVICE_H_

#include "auspex/stated/v1/stated.grpc.pb.h"
#include "stated/hub.h"

namespace auspex::stated {

class QueryService final : public v1::Query::Service {
 public:
  explicit QueryService(Hub& hub) : hub_(hub) {}
  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*,
                         v1::Status* response) override;
  grpc::Status WatchStatus(grpc::ServerContext* context, const v1::GetStatusRequest*,
                           grpc::ServerWriter<v1::Status>* writer) override;
  grpc::Status ListAudit(grpc::ServerContext*, const v1::ListAuditRequest* request,
                         v1::ListAuditResponse* response) override;
  grpc::Status ListUnits(grpc::ServerContext*, const v1::ListUnitsRequest* request,
                         v1::ListUnitsResponse* response) override;
  grpc::Status ListResults(grpc::ServerContext*, const v1::ListResultsRequest* request,
                           v1::ListResultsResponse* response) override;
  grpc::Status GetResult(grpc::ServerContext*, const v1::GetResultRequest* request,
                         v1::Result* response) override;
  grpc::Status ListTenants(grpc::ServerContext*, const v1::ListTenantsRequest*,
                           v1::ListTenantsResponse* response) override;

 private:
  Hub& hub_;
};

class PolicyService final : public v1::Policy::Service {
 public:
  explicit PolicyService(Hub& hub) : hub_(hub) {}
  grpc::Status AllowTenant(grpc::ServerContext*, const v1::TenantRequest* request,
                           v1::PolicyResponse* response) override;
  grpc::Status DenyTenant(grpc::ServerContext*, const v1::TenantRequest* request,
                          v1::PolicyResponse* response) override;
  grpc::Status ForgetTenant(grpc::ServerContext*, const v1::TenantRequest* request,
                            v1::PolicyResponse* response) override;
  grpc::Status AcceptExperiment(grpc::ServerContext*, const v1::AcceptExperimentRequest* request,
                                v1::PolicyResponse* response) override;
  grpc::Status WithdrawAcceptance(grpc::ServerContext*, const v1::AcceptExperimentRequest* request,
                                  v1::PolicyResponse* response) override;
  grpc::Status ClearPin(grpc::ServerContext*, const v1::AcceptExperimentRequest* request,
                        v1::PolicyResponse* response) override;
  grpc::Status RefuseUnit(grpc::ServerContext*, const v1::OwnerRefuseRequest* request,
                          v1::OwnerRefuseResponse* response) override;
  grpc::Status SetSelfPause(grpc::ServerContext*, const v1::SetSelfPauseRequest* request,
                            v1::PolicyResponse* response) override;
  grpc::Status RecordAbort(grpc::ServerContext*, const v1::RecordAbortRequest* request,
                           v1::PolicyResponse* response) override;
  grpc::Status Forget(grpc::ServerContext*, const v1::ForgetRequest*,
                      v1::PolicyResponse* response) override;

 private:
  Hub& hub_;
};

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_SERVICE_OWNER_SERVICE_H_
