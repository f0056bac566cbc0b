// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/request_service.h"

#include <utility>

#include "common/ipc/channel.h"

namespace auspex::keyd {
namespace {

UntrustedRequest Translate(const v1::SignRequestRequest& in) {
  UntrustedRequest out;
  switch (in.intent_case()) {
    case v1::SignRequestRequest::kHeartbeat:
      out.intent = Intent::kHeartbeat;
      out.body_sha256 = in.heartbeat().body_sha256();
      break;
    case v1::SignRequestRequest::kPoll:
      out.intent = Intent::kPoll;
      break;
    case v1::SignRequestRequest::kRefuse:
      out.intent = Intent::kRefuse;
      out.unit_id = in.refuse().unit_id();
      out.assignment_id = in.refuse().assignment_id();
      out.body_sha256 = in.refuse().body_sha256();
      break;
    case v1::SignRequestRequest::kSubmitResult:
      out.intent = Intent::kSubmitResult;
      out.unit_id = in.submit_result().unit_id();
      out.assignment_id = in.submit_result().assignment_id();
      out.body_sha256 = in.submit_result().body_sha256();
      break;
    case v1::SignRequestRequest::kFetchReceipt:
      out.intent = Intent::kFetchReceipt;
      out.result_id = in.fetch_receipt().result_id();
      break;
    case v1::SignRequestRequest::kFetchPackage:
      out.intent = Intent::kFetchPackage;
      out.manifest_sha256 = in.fetch_package().manifest_sha256();
      break;
    case v1::SignRequestRequest::kUpgrade:
      out.intent = Intent::kUpgrade;
      out.body_sha256 = in.upgrade().body_sha256();
      break;
    case v1::SignRequestRequest::kRetire:
      out.intent = Intent::kRetire;
      break;
    case v1::SignRequestRequest::kUnbind:
      out.intent = Intent::kUnbind;
      break;
    case v1::SignRequestRequest::kGetAttribution:
      out.intent = Intent::kGetAttribution;
      out.account_id = in.get_attribution().account_id();
      break;
    case v1::SignRequestRequest::kPutAttribution:
      out.intent = Intent::kPutAttribution;
      out.account_id = in.put_attribution().account_id();
      out.body_sha256 = in.put_attribution().body_sha256();
      break;
    case v1::SignRequestRequest::kPrestage:
      out.intent = Intent::kPrestage;
      break;
    case v1::SignRequestRequest::kSupportedModels:
      out.intent = Intent::kSupportedModels;
      break;
    case v1::SignRequestRequest::kServeRecovered:
      out.intent = Intent::kServeRecovered;
      out.body_sha256 = in.serve_recovered().body_sha256();
      break;
    case v1::SignRequestRequest::INTENT_NOT_SET:
      break;
  }
  return out;
}

void Fill(SignedHttp in, v1::SignedRequest& out) {
  out.set_method(std::move(in.method));
  out.set_path(std::move(in.path));
  out.set_authority(std::move(in.authority));
  out.set_content_digest(std::move(in.content_digest));
  out.set_signature_input(std::move(in.signature_input));
  out.set_signature(std::move(in.signature));
  out.set_journal_sequence(in.journal_sequence);
}

}  // namespace

RequestService::RequestService(SigningBoundary& boundary, const KeyRing& keys, CallLoop& loop)
    : boundary_(boundary), keys_(keys) {
  loop.Add(*this, &v1::RequestSigner::AsyncService::RequestSignRequest,
           [this](const grpc::ServerContext& context, const v1::SignRequestRequest& request,
                  v1::SignedRequest& response) -> CallLoop::Answer {
             return [&boundary = boundary_, &response,
                     pending = boundary_.Begin(peers_.CallerOf(Role::kRequest, context),
                                               Translate(request))] {
               if (!pending.ok()) return ToGrpc(pending.status());
               absl::StatusOr<SignedHttp> result = boundary.Finish(*pending);
               if (result.ok()) Fill(*std::move(result), response);
               return ToGrpc(result.status());
             };
           });
  loop.Add(*this, &v1::RequestSigner::AsyncService::RequestGetIdentity,
           [this](const grpc::ServerContext&, const v1::GetIdentityRequest&,
                  v1::KeyIdentity& response) -> CallLoop::Answer {
             FillIdentity(keys_.view(), response);
             return [] { return grpc::Status::OK; };
           });
}

void FillIdentity(const KeyRing::View& view, v1::KeyIdentity& out) {
  out.set_has_key(view.has_key());
  out.set_public_key_hex(view.public_key_hex());
  if (view.enrolment() != nullptr) {
    out.set_base_url(view.enrolment()->base_url.str());
    out.set_worker_id(view.enrolment()->worker_id.str());
  }
}

}  // namespace auspex::keyd
