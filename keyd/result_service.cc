// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/result_service.h"

#include <utility>

#include "common/ipc/channel.h"

namespace auspex::keyd {

grpc::Status ResultService::SignResult(grpc::ServerContext* context,
                                       const v1::SignResultRequest* request,
                                       v1::SignResultResponse* response) {
  UntrustedResult in;
  in.unit_id = request->unit_id();
  in.assignment_id = request->assignment_id();
  in.completed_at = request->completed_at();
  in.exit_code = request->exit_code();
  in.canonical_payload = request->canonical_payload();
  in.schema_version = request->schema_version();
  in.served_weights.insert(request->served_weights().begin(), request->served_weights().end());
  in.ran_under = request->ran_under();
  absl::StatusOr<SignedOctets> result =
      boundary_.SignResult(peers_.CallerOf(Role::kResult, *context), in);
  if (!result.ok()) return ToGrpc(result.status());
  response->set_worker_pubkey(std::move(result->worker_pubkey));
  response->set_signature(std::move(result->signature));
  response->set_result_sha256(std::move(result->sha256));
  response->set_journal_sequence(result->journal_sequence);
  return grpc::Status::OK;
}

grpc::Status ResultService::SignRawText(grpc::ServerContext* context,
                                        const v1::SignRawTextRequest* request,
                                        v1::SignRawTextResponse* response) {
  const UntrustedRawText in{request->unit_id(), request->assignment_id(), request->raw_sha256()};
  absl::StatusOr<SignedOctets> result =
      boundary_.SignRawText(peers_.CallerOf(Role::kResult, *context), in);
  if (!result.ok()) return ToGrpc(result.status());
  response->set_signature(std::move(result->signature));
  response->set_journal_sequence(result->journal_sequence);
  return grpc::Status::OK;
}

}  // namespace auspex::keyd
