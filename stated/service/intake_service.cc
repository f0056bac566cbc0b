// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/channel.h"
#include "stated/service/convert.h"
#include "stated/service/net_service.h"

namespace auspex::stated {

grpc::Status IntakeService::GetIdentity(grpc::ServerContext*, const v1::GetIdentityRequest*,
                                        v1::Identity* response) {
  const absl::StatusOr<std::optional<Identity>> identity = hub_.enrolment().Get();
  if (identity.ok()) ToProto(*identity, *response);
  return ToGrpc(identity.status());
}

grpc::Status IntakeService::RecordEnrolment(grpc::ServerContext*,
                                            const v1::RecordEnrolmentRequest* request,
                                            v1::RecordEnrolmentResponse*) {
  UntrustedEnrolment enrolment;
  enrolment.worker_id = request->worker_id();
  enrolment.public_key_hex = request->public_key_hex();
  enrolment.registered_at = request->registered_at();
  enrolment.base_url = request->base_url();
  enrolment.trust_tier = request->trust_tier();
  return ToGrpc(hub_.enrolment().Record(enrolment));
}

grpc::Status IntakeService::RecordBinding(grpc::ServerContext*,
                                          const v1::RecordBindingRequest* request,
                                          v1::RecordBindingResponse*) {
  UntrustedBinding binding;
  binding.account_id = request->account_id();
  binding.idp = request->idp();
  binding.bound_at = request->bound_at();
  binding.trust_tier = request->trust_tier();
  binding.is_new_account = request->is_new_account();
  return ToGrpc(hub_.enrolment().RecordBinding(binding));
}

grpc::Status IntakeService::GetCapabilities(grpc::ServerContext*, const v1::GetCapabilitiesRequest*,
                                            v1::Capabilities* response) {
  absl::StatusOr<std::string> text = hub_.CapabilitiesNow();
  if (text.ok()) response->set_canonical_json(*std::move(text));
  return ToGrpc(text.status());
}

grpc::Status IntakeService::RecordHeartbeat(grpc::ServerContext*,
                                            const v1::RecordHeartbeatRequest* request,
                                            v1::RecordHeartbeatResponse*) {
  if (!request->ok()) return ToGrpc(hub_.contact().HeartbeatFailed(request->error()));
  std::optional<UntrustedRelease> release;
  if (request->has_latest_release()) {
    const auto& announced = request->latest_release();
    release = UntrustedRelease{announced.version(), announced.headline(), announced.release_url()};
  }
  return ToGrpc(hub_.contact().HeartbeatOk(request->trust_tier(), release));
}

grpc::Status IntakeService::RecordPoll(grpc::ServerContext*, const v1::RecordPollRequest* request,
                                       v1::RecordPollResponse*) {
  switch (request->outcome_case()) {
    case v1::RecordPollRequest::kNoWork:
      return ToGrpc(hub_.contact().PollWithoutWork(request->no_work().idle_code()));
    case v1::RecordPollRequest::kHold:
      return ToGrpc(hub_.contact().PollHeld(request->hold().kind(), request->hold().reason(),
                                            request->hold().at()));
    case v1::RecordPollRequest::kFailure:
      return ToGrpc(hub_.contact().PollFailed(request->failure().error()));
    case v1::RecordPollRequest::OUTCOME_NOT_SET:
      break;
  }
  return ToGrpc(absl::InvalidArgumentError("outcome: is missing"));
}

grpc::Status IntakeService::WatchDemand(grpc::ServerContext* context, const v1::WatchDemandRequest*,
                                        grpc::ServerWriter<v1::Demand>* writer) {
  hub_.NetdConnected(true);
  std::optional<Demand> last;
  absl::Status status;
  Changes& changes = hub_.context().changes;
  while (!context->IsCancelled()) {
    if (changes.stopped()) {
      status = absl::UnavailableError("stated is stopping");
      break;
    }
    const uint64_t seen = changes.Version(Topic::kDemand);
    const absl::StatusOr<Demand> demand = hub_.DemandNow();
    if (!demand.ok()) {
      status = demand.status();
      break;
    }
    if (*demand != last) {
      v1::Demand message;
      message.set_free_slots(demand->free_slots);
      message.set_generation(demand->generation);
      message.set_reason(std::string(demand->reason));
      message.set_enrolled(demand->enrolled);
      message.set_in_hand(demand->in_hand);
      message.set_outbox_unattempted(demand->outbox_unattempted);
      if (!writer->Write(message)) break;
      last = *demand;
    }
    // Only the version is looked at here, so an idle stream costs no database reads.
    while (!context->IsCancelled() && !changes.stopped() &&
           changes.Wait(Topic::kDemand, seen, kStreamBeat) == seen) {
    }
  }
  hub_.NetdConnected(false);
  return ToGrpc(status);
}

grpc::Status IntakeService::Offer(grpc::ServerContext*, const v1::OfferRequest* request,
                                  v1::OfferResponse* response) {
  UntrustedOffer offer;
  offer.assignment_id = request->assignment_id();
  offer.experiment_id = request->experiment_id();
  offer.unit_id = request->unit_id();
  offer.tenant_id = request->tenant_id();
  offer.experiment_label = request->experiment_label();
  offer.manifest_sha256 = request->manifest_sha256();
  offer.created_at = request->created_at();
  offer.canonical_payload = request->canonical_payload();
  offer.envelope_schema_version = request->envelope_schema_version();
  absl::StatusOr<OfferDecision> decision = hub_.intake().Offer(offer);
  if (decision.ok()) {
    response->set_decision(std::move(decision->decision));
    response->set_reason(std::move(decision->reason));
  }
  return ToGrpc(decision.status());
}

}  // namespace auspex::stated
