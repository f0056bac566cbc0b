// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/result_service.h"

#include <utility>

#include "common/ipc/channel.h"

namespace auspex::keyd {

namespace {

UntrustedResult Translate(const v1::SignResultRequest& in) {
  UntrustedResult out;
  out.unit_id = in.unit_id();
  out.assignment_id = in.assignment_id();
  out.completed_at = in.completed_at();
  out.exit_code = in.exit_code();
  out.canonical_payload = in.canonical_payload();
  out.schema_version = in.schema_version();
  out.served_weights.insert(in.served_weights().begin(), in.served_weights().end());
  out.ran_under = in.ran_under();
  return out;
}

void Fill(SignedOctets in, v1::SignResultResponse& out) {
  out.set_worker_pubkey(std::move(in.worker_pubkey));
  out.set_signature(std::move(in.signature));
  out.set_result_sha256(std::move(in.sha256));
  out.set_journal_sequence(in.journal_sequence);
}

void Fill(SignedOctets in, v1::SignRawTextResponse& out) {
  out.set_signature(std::move(in.signature));
  out.set_journal_sequence(in.journal_sequence);
}

// The second half of both methods.
template <typename Response>
CallLoop::Answer Answer(SigningBoundary& boundary, absl::StatusOr<SigningBoundary::Pending> pending,
                        Response& response) {
  return [&boundary, &response, pending = std::move(pending)] {
    if (!pending.ok()) return ToGrpc(pending.status());
    absl::StatusOr<SignedOctets> result = boundary.Finish(*pending);
    if (result.ok()) Fill(*std::move(result), response);
    return ToGrpc(result.status());
  };
}

}  // namespace

ResultService::ResultService(SigningBoundary& boundary, CallLoop& loop) : boundary_(boundary) {
  loop.Add(*this, &v1::ResultSigner::AsyncService::RequestSignResult,
           [this](const grpc::ServerContext& context, const v1::SignResultRequest& request,
                  v1::SignResultResponse& response) -> CallLoop::Answer {
             const Caller caller = peers_.CallerOf(Role::kResult, context);
             return Answer(boundary_, boundary_.Begin(caller, Translate(request)), response);
           });
  loop.Add(*this, &v1::ResultSigner::AsyncService::RequestSignRawText,
           [this](const grpc::ServerContext& context, const v1::SignRawTextRequest& request,
                  v1::SignRawTextResponse& response) -> CallLoop::Answer {
             const Caller caller = peers_.CallerOf(Role::kResult, context);
             const UntrustedRawText raw{request.unit_id(), request.assignment_id(),
                                        request.raw_sha256()};
             return Answer(boundary_, boundary_.Begin(caller, raw), response);
           });
}

}  // namespace auspex::keyd
