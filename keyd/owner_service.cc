// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/owner_service.h"

#include <optional>

#include "common/ipc/channel.h"
#include "common/journal/merkle.h"
#include "keyd/request_service.h"

namespace auspex::keyd {
namespace {

std::optional<OwnerAct> ActOf(v1::OwnerAct act) {
  switch (act) {
    case v1::OWNER_ACT_RETIRE:
      return OwnerAct::kRetire;
    case v1::OWNER_ACT_UPGRADE:
      return OwnerAct::kUpgrade;
    case v1::OWNER_ACT_UNBIND:
      return OwnerAct::kUnbind;
    default:
      return std::nullopt;
  }
}

void Fill(const JournalRecord& record, v1::JournalRecord& out) {
  out.set_sequence(record.sequence);
  out.set_time_unix_micros(record.time_micros);
  out.set_role(std::string(RoleWord(record.caller.role)));
  out.set_peer_pid(record.caller.pid);
  out.set_peer_uid(record.caller.uid);
  out.set_intent(std::string(IntentWord(record.intent)));
  out.set_subject(record.subject);
  out.set_unit(record.unit);
  out.set_created(record.created);
  switch (record.outcome) {
    case Outcome::kSigned:
      out.set_outcome("signed");
      out.set_digest(std::string(AsText(record.digest)));
      break;
    case Outcome::kDone:
      out.set_outcome("done");
      break;
    case Outcome::kRefused:
      out.set_outcome("refused");
      out.set_cause(record.cause);
      break;
  }
  out.set_leaf_hash(std::string(AsText(LeafHash(EncodeRecordBody(record, record.sequence)))));
}

}  // namespace

grpc::Status OwnerService::GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*,
                                     v1::KeyStatus* response) {
  FillIdentity(parts_.keys.view(), *response->mutable_identity());
  const Journal::Head head = parts_.journal.head();
  response->set_journal_records(head.records);
  response->set_journal_root(std::string(AsText(head.chain)));
  response->set_journal_path(parts_.journal_path);
  response->set_keystore("sealed-file");
  response->set_seal(std::string(SealWord(parts_.keys.seal())));
  for (const std::string& layer : parts_.missing_hardening) response->add_missing_hardening(layer);
  if (!parts_.keys.key_in_secret_memory()) response->add_missing_hardening("memfd_secret");
  response->set_signatures(parts_.recorder.signatures());
  response->set_refusals(parts_.recorder.refusals());
  return grpc::Status::OK;
}

grpc::Status OwnerService::CreateKey(grpc::ServerContext* context, const v1::CreateKeyRequest*,
                                     v1::KeyIdentity* response) {
  const absl::Status status = parts_.custody.CreateKey(peers_.CallerOf(Role::kOwner, *context));
  if (status.ok()) FillIdentity(parts_.keys.view(), *response);
  return ToGrpc(status);
}

grpc::Status OwnerService::SetEnrolment(grpc::ServerContext* context,
                                        const v1::SetEnrolmentRequest* request,
                                        v1::SetEnrolmentResponse*) {
  return ToGrpc(parts_.custody.SetEnrolment(peers_.CallerOf(Role::kOwner, *context),
                                            request->base_url(), request->worker_id()));
}

grpc::Status OwnerService::DestroyKey(grpc::ServerContext* context, const v1::DestroyKeyRequest*,
                                      v1::DestroyKeyResponse* response) {
  const absl::StatusOr<bool> existed =
      parts_.custody.DestroyKey(peers_.CallerOf(Role::kOwner, *context));
  if (existed.ok()) response->set_existed(*existed);
  return ToGrpc(existed.status());
}

grpc::Status OwnerService::OpenGrant(grpc::ServerContext* context,
                                     const v1::OpenGrantRequest* request,
                                     v1::OpenGrantResponse* response) {
  const std::optional<OwnerAct> act = ActOf(request->act());
  if (!act) return ToGrpc(absl::InvalidArgumentError("act: none that is known was given"));
  const absl::StatusOr<int64_t> ends = parts_.custody.OpenGrant(
      peers_.CallerOf(Role::kOwner, *context), *act, request->lifetime_seconds());
  if (ends.ok()) response->set_expires_at_unix(*ends);
  return ToGrpc(ends.status());
}

grpc::Status OwnerService::ListJournal(grpc::ServerContext* context,
                                       const v1::ListJournalRequest* request,
                                       grpc::ServerWriter<v1::JournalRecord>* writer) {
  v1::JournalRecord message;
  return ToGrpc(parts_.journal.List(request->first_sequence(), request->limit(),
                                    [&](const JournalRecord& record) {
                                      message.Clear();
                                      Fill(record, message);
                                      return !context->IsCancelled() && writer->Write(message);
                                    }));
}

}  // namespace auspex::keyd
