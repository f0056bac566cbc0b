// SPDX-License-Identifier: AGPL-3.0-only
// The service of role "run": translates messages to calls of the Hub and back. The Hub must outlive
// it. Called from gRPC's threads.
#ifndef AUSPEX_STATED_SERVICE_WORK_SERVICE_H_
#define AUSPEX_STATED_SERVICE_WORK_SERVICE_H_

#include "auspex/stated/v1/stated.grpc.pb.h"
#include "stated/hub.h"

namespace auspex::stated {

class WorkService final : public v1::Work::Service {
 public:
  explicit WorkService(Hub& hub) : hub_(hub) {}
  grpc::Status WatchWork(grpc::ServerContext* context, const v1::WatchWorkRequest* request,
                         grpc::ServerWriter<v1::WorkItem>* writer) override;
  grpc::Status BeginUnit(grpc::ServerContext*, const v1::BeginUnitRequest* request,
                         v1::BeginUnitResponse*) override;
  grpc::Status CompleteUnit(grpc::ServerContext*, const v1::CompleteUnitRequest* request,
                            v1::CompleteUnitResponse*) override;
  grpc::Status RefuseUnit(grpc::ServerContext*, const v1::RefuseUnitRequest* request,
                          v1::RefuseUnitResponse*) override;
  grpc::Status GetPackage(grpc::ServerContext* context, const v1::GetPackageRequest* request,
                          grpc::ServerWriter<v1::PackageChunk>* writer) override;
  grpc::Status DropPackage(grpc::ServerContext*, const v1::GetPackageRequest* request,
                           v1::DropPackageResponse*) override;
  grpc::Status ReportCapabilities(grpc::ServerContext*, const v1::Capabilities* request,
                                  v1::ReportCapabilitiesResponse*) override;
  grpc::Status ReportCondition(grpc::ServerContext*, const v1::Condition* request,
                               v1::ReportConditionResponse*) override;

 private:
  Hub& hub_;
};

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_SERVICE_WORK_SERVICE_H_
