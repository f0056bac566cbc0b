// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/channel.h"
#include "stated/service/convert.h"
#include "stated/service/net_service.h"

namespace auspex::stated {
namespace {

void ToProto(OutboxItem item, v1::OutboxItem& out) {
  out.set_id(static_cast<uint64_t>(item.id));
  out.set_attempt(static_cast<uint32_t>(item.attempt));
  switch (item.kind) {
    case OutboxKind::kResult: {
      auto& result = *out.mutable_send_result();
      result.set_unit_id(std::move(item.unit_id));
      result.set_assignment_id(std::move(item.assignment_id));
      result.set_body(std::move(item.body));
      return;
    }
    case OutboxKind::kRefusal: {
      auto& refusal = *out.mutable_send_refusal();
      refusal.set_unit_id(std::move(item.unit_id));
      refusal.set_assignment_id(std::move(item.assignment_id));
      refusal.set_body(std::move(item.body));
      return;
    }
    case OutboxKind::kReceipt:
      out.mutable_fetch_receipt()->set_result_id(std::move(item.subject));
      return;
    case OutboxKind::kPackage:
      out.mutable_fetch_package()->set_manifest_sha256(std::move(item.subject));
      return;
  }
}

// The views point into `request`.
absl::StatusOr<Outcome> FromProto(const v1::SettleRequest& request) {
  switch (request.outcome_case()) {
    case v1::SettleRequest::kResultAccepted: {
      const auto& accepted = request.result_accepted();
      ResultAccepted outcome;
      outcome.untrusted_result_id = accepted.result_id();
      outcome.untrusted_unit_status_after = accepted.unit_status_after();
      outcome.already = accepted.already();
      outcome.completions_so_far = accepted.completions_so_far();
      outcome.replication_target = accepted.replication_target();
      return Outcome(outcome);
    }
    case v1::SettleRequest::kRefusalDone:
      return Outcome(RefusalDone{request.refusal_done().note()});
    case v1::SettleRequest::kReceipt:
      return Outcome(ReceiptArrived{request.receipt().cose()});
    case v1::SettleRequest::kReceiptNever:
      return Outcome(ReceiptNever{request.receipt_never().reason()});
    case v1::SettleRequest::kTerminal:
      return Outcome(Terminal{request.terminal().code(), request.terminal().text()});
    case v1::SettleRequest::kTransient:
      return Outcome(
          Transient{request.transient().text(), request.transient().retry_after_seconds()});
    case v1::SettleRequest::kHeld:
      return Outcome(Held{request.held().text()});
    case v1::SettleRequest::OUTCOME_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("outcome: is missing");
}

}  // namespace

grpc::Status OutboxService::WatchOutbox(grpc::ServerContext* context, const v1::WatchOutboxRequest*,
                                        grpc::ServerWriter<v1::OutboxItem>* writer) {
  const std::unique_ptr<OutboxQueue::Session> session = hub_.outbox().Open();
  while (!context->IsCancelled()) {
    absl::StatusOr<std::optional<OutboxItem>> item = session->Next(kStreamBeat);
    if (!item.ok()) return ToGrpc(item.status());
    if (!item->has_value()) continue;
    v1::OutboxItem message;
    ToProto(**std::move(item), message);
    if (!writer->Write(message)) break;
  }
  return grpc::Status::OK;
}

grpc::Status OutboxService::Settle(grpc::ServerContext*, const v1::SettleRequest* request,
                                   v1::SettleResponse*) {
  const absl::StatusOr<Outcome> outcome = FromProto(*request);
  if (!outcome.ok()) return ToGrpc(outcome.status());
  return ToGrpc(hub_.outbox().Settle(static_cast<int64_t>(request->id()), *outcome));
}

grpc::Status OutboxService::PutPackage(grpc::ServerContext*,
                                       grpc::ServerReader<v1::PutPackageRequest>* reader,
                                       v1::SettleResponse*) {
  v1::PutPackageRequest message;
  if (!reader->Read(&message)) return ToGrpc(absl::InvalidArgumentError("id: is missing"));
  absl::StatusOr<std::unique_ptr<PackageSpool::Incoming>> incoming =
      hub_.packages().Begin(static_cast<int64_t>(message.id()));
  if (!incoming.ok()) return ToGrpc(incoming.status());
  do {
    if (absl::Status status = (*incoming)->Append(message.chunk()); !status.ok())
      return ToGrpc(status);
  } while (reader->Read(&message));
  return ToGrpc((*incoming)->Finish());
}

}  // namespace auspex::stated
