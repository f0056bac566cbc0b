// SPDX-License-Identifier: AGPL-3.0-only
// The services of role "net": they translate messages to calls of the Hub and back, nothing more.
// The Hub must outlive them. Called from gRPC's threads; a stream holds one for as long as it
// lasts.
#ifndef AUSPEX_STATED_SERVICE_NET_SERVICE_H_
#define AUSPEX_STATED_SERVICE_NET_SERVICE_H_

#include "auspex/stated/v1/stated.grpc.pb.h"
#include "stated/hub.h"

namespace auspex::stated {

class IntakeService final : public v1::Intake::Service {
 public:
  explicit IntakeService(Hub& hub) : hub_(hub) {}
  grpc::Status GetIdentity(grpc::ServerContext*, const v1::GetIdentityRequest*,
                           v1::Identity* response) override;
  grpc::Status RecordEnrolment(grpc::ServerContext*, const v1::RecordEnrolmentRequest* request,
                               v1::RecordEnrolmentResponse*) override;
  grpc::Status RecordBinding(grpc::ServerContext*, const v1::RecordBindingRequest* request,
                             v1::RecordBindingResponse*) override;
  grpc::Status GetCapabilities(grpc::ServerContext*, const v1::GetCapabilitiesRequest*,
                               v1::Capabilities* response) override;
  grpc::Status RecordHeartbeat(grpc::ServerContext*, const v1::RecordHeartbeatRequest* request,
                               v1::RecordHeartbeatResponse*) override;
  grpc::Status RecordPoll(grpc::ServerContext*, const v1::RecordPollRequest* request,
                          v1::RecordPollResponse*) override;
  grpc::Status WatchDemand(grpc::ServerContext* context, const v1::WatchDemandRequest*,
                           grpc::ServerWriter<v1::Demand>* writer) override;
  grpc::Status Offer(grpc::ServerContext*, const v1::OfferRequest* request,
                     v1::OfferResponse* response) override;

 private:
  Hub& hub_;
};

class OutboxService final : public v1::Outbox::Service {
 public:
  explicit OutboxService(Hub& hub) : hub_(hub) {}
  grpc::Status WatchOutbox(grpc::ServerContext* context, const v1::WatchOutboxRequest*,
                           grpc::ServerWriter<v1::OutboxItem>* writer) override;
  grpc::Status Settle(grpc::ServerContext*, const v1::SettleRequest* request,
                      v1::SettleResponse*) override;
  grpc::Status PutPackage(grpc::ServerContext*, grpc::ServerReader<v1::PutPackageRequest>* reader,
                          v1::SettleResponse*) override;

 private:
  Hub& hub_;
};

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_SERVICE_NET_SERVICE_H_
