// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/owner_service.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "common/base/cat.h"
#include "common/ipc/channel.h"
#include "common/log/log.h"
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

// INVALID_ARGUMENT for words of a later contract.
absl::StatusOr<Place> PlaceOf(v1::Keystore keystore, v1::Seal seal) {
  Place place;
  switch (keystore) {
    case v1::KEYSTORE_UNSPECIFIED:
      break;
    case v1::KEYSTORE_SECRET_SERVICE:
      place.keystore = Keystore::kSecretService;
      break;
    case v1::KEYSTORE_SEALED_FILE:
      place.keystore = Keystore::kSealedFile;
      break;
    default:
      return absl::InvalidArgumentError("keystore: none that is known was given");
  }
  switch (seal) {
    case v1::SEAL_UNSPECIFIED:
      return place;
    case v1::SEAL_CREDENTIAL:
      place.seal = SealKind::kCredential;
      return place;
    case v1::SEAL_PASSPHRASE:
      place.seal = SealKind::kPassphrase;
      return place;
    case v1::SEAL_LOCAL_SECRET:
      place.seal = SealKind::kLocalSecret;
      return place;
    case v1::SEAL_MACHINE:
      place.seal = SealKind::kMachine;
      return place;
    default:
      return absl::InvalidArgumentError("seal: none that is known was given");
  }
}

absl::StatusOr<KeyFormat> FormatOf(v1::ImportFormat format) {
  switch (format) {
    case v1::IMPORT_FORMAT_UNSPECIFIED:
      return KeyFormat::kGuess;
    case v1::IMPORT_FORMAT_RAW_SEED:
      return KeyFormat::kRawSeed;
    case v1::IMPORT_FORMAT_KEYSTORE_ENC:
      return KeyFormat::kKeystoreEnc;
    default:
      return absl::InvalidArgumentError("format: none that is known was given");
  }
}

std::string SealOf(const StorageStatus& storage) {
  return storage.keystore == Keystore::kSealedFile ? std::string(SealWord(storage.seal)) : "";
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
  out.set_leaf_hash(std::string(AsText(record.leaf)));
}

// Calls that follow the journal at the same time.
constexpr int kMaxFollowers = 4;

class Counted {
 public:
  explicit Counted(std::atomic<int>& count) : count_(count), number_(++count) {}
  ~Counted() { --count_; }
  int number() const { return number_; }

 private:
  std::atomic<int>& count_;
  const int number_;
};

}  // namespace

grpc::Status OwnerService::GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*,
                                     v1::KeyStatus* response) {
  FillIdentity(parts_.keys.view(), *response->mutable_identity());
  const Journal::Head head = parts_.journal.head();
  response->set_journal_records(head.records);
  response->set_journal_root(std::string(AsText(head.root)));
  response->set_journal_path(parts_.journal.path());
  response->set_journal_octets(head.octets);
  response->set_journal_segments(static_cast<uint32_t>(head.segments));
  response->set_checkpoint(head.checkpoint);
  const StorageStatus storage = parts_.keys.storage();
  response->set_keystore(std::string(KeystoreWord(storage.keystore)));
  response->set_seal(SealOf(storage));
  response->set_advice(storage.advice);
  for (const Hardening::Layer& layer : parts_.hardening.layers()) {
    v1::HardeningLayer& out = *response->add_hardening();
    out.set_name(layer.name);
    out.set_in_force(layer.in_force);
    out.set_accepted_missing(layer.accepted_missing);
    out.set_detail(layer.detail);
    if (!layer.in_force) response->add_missing_hardening(layer.name);
  }
  response->set_signatures(parts_.recorder.signatures());
  response->set_refusals(parts_.recorder.refusals());
  return grpc::Status::OK;
}

grpc::Status OwnerService::CreateKey(grpc::ServerContext* context,
                                     const v1::CreateKeyRequest* request,
                                     v1::KeyIdentity* response) {
  const absl::StatusOr<Place> place = PlaceOf(request->keystore(), request->seal());
  if (!place.ok()) return ToGrpc(place.status());
  return Answer(parts_.custody.CreateKey(peers_.CallerOf(Role::kOwner, *context), *place),
                response);
}

grpc::Status OwnerService::ImportKey(grpc::ServerContext* context,
                                     const v1::ImportKeyRequest* request,
                                     v1::KeyIdentity* response) {
  const absl::StatusOr<Place> place = PlaceOf(request->keystore(), request->seal());
  const absl::StatusOr<KeyFormat> format = FormatOf(request->format());
  if (!place.ok()) return ToGrpc(place.status());
  if (!format.ok()) return ToGrpc(format.status());
  return Answer(parts_.custody.ImportKey(peers_.CallerOf(Role::kOwner, *context),
                                         parts_.import_path, *format, *place),
                response);
}

// The answer to a new key, made or imported.
grpc::Status OwnerService::Answer(const absl::Status& status, v1::KeyIdentity* response) {
  if (status.ok()) {
    CheckpointOfNewKey();
    FillIdentity(parts_.keys.view(), *response);
  }
  return ToGrpc(status);
}

grpc::Status OwnerService::SealKey(grpc::ServerContext* context, const v1::SealKeyRequest* request,
                                   v1::SealKeyResponse* response) {
  const absl::StatusOr<Place> place = PlaceOf(request->keystore(), request->seal());
  if (!place.ok()) return ToGrpc(place.status());
  const absl::StatusOr<std::string> was =
      parts_.custody.SealKey(peers_.CallerOf(Role::kOwner, *context), *place);
  if (!was.ok()) return ToGrpc(was.status());
  const StorageStatus storage = parts_.keys.storage();
  response->set_keystore(std::string(KeystoreWord(storage.keystore)));
  response->set_seal(SealOf(storage));
  response->set_was(*was);
  return grpc::Status::OK;
}

grpc::Status OwnerService::SetEnrolment(grpc::ServerContext* context,
                                        const v1::SetEnrolmentRequest* request,
                                        v1::SetEnrolmentResponse*) {
  return ToGrpc(parts_.custody.SetEnrolment(peers_.CallerOf(Role::kOwner, *context),
                                            request->base_url(), request->worker_id()));
}

grpc::Status OwnerService::DestroyKey(grpc::ServerContext* context, const v1::DestroyKeyRequest*,
                                      v1::DestroyKeyResponse* response) {
  const absl::StatusOr<Custody::Destroyed> destroyed =
      parts_.custody.DestroyKey(peers_.CallerOf(Role::kOwner, *context));
  if (!destroyed.ok()) return ToGrpc(destroyed.status());
  response->set_existed(destroyed->existed);
  for (const std::string& thing : destroyed->removed) response->add_removed(thing);
  return grpc::Status::OK;
}

grpc::Status OwnerService::OpenGrant(grpc::ServerContext* context,
                                     const v1::OpenGrantRequest* request,
                                     v1::OpenGrantResponse* response) {
  const std::optional<OwnerAct> act = ActOf(request->act());
  if (!act) return ToGrpc(absl::InvalidArgumentError("act: none that is known was given"));
  const absl::StatusOr<int64_t> ends =
      parts_.custody.OpenGrant(peers_.CallerOf(Role::kOwner, *context), *act, request->worker_id(),
                               request->lifetime_seconds());
  if (ends.ok()) response->set_expires_at_unix(*ends);
  return ToGrpc(ends.status());
}

// The first word of a new key is about the journal that holds its making. The key stands even when
// that fails: it is logged, and made up for at the next start.
void OwnerService::CheckpointOfNewKey() {
  const absl::Status status = parts_.checkpointer.SignIfGrown();
  if (!status.ok()) {
    LogWarning("checkpoint_failed", {{"cause", std::string(status.message())}});
  }
}

grpc::Status OwnerService::ListJournal(grpc::ServerContext* context,
                                       const v1::ListJournalRequest* request,
                                       grpc::ServerWriter<v1::JournalRecord>* writer) {
  uint64_t next = std::max<uint64_t>(request->first_sequence(), 1);
  uint64_t left = request->limit();
  v1::JournalRecord message;
  bool more = true;
  const auto list = [&] {
    return parts_.journal.List(next, left, [&](const JournalRecord& record) {
      message.Clear();
      Fill(record, message);
      next = record.sequence + 1;
      if (left > 0 && --left == 0) more = false;
      more = !context->IsCancelled() && writer->Write(message) && more;
      return more;
    });
  };
  if (!request->follow()) return ToGrpc(list());
  // Each holds a thread.
  const Counted counted(followers_);
  if (counted.number() > kMaxFollowers) {
    return ToGrpc(absl::ResourceExhaustedError(
        Cat("follow: ", kMaxFollowers, " calls follow the journal already")));
  }
  while (more) {
    if (const absl::Status s = list(); !s.ok()) return ToGrpc(s);
    // Woken by each flush; the time is for a caller who is gone.
    if (!parts_.journal.WaitForMore(next - 1, std::chrono::milliseconds(250))) {
      return ToGrpc(absl::UnavailableError("auspex-keyd is stopping"));
    }
    more = more && !context->IsCancelled();
  }
  return grpc::Status::OK;
}

grpc::Status OwnerService::SignCheckpoint(grpc::ServerContext* context,
                                          const v1::SignCheckpointRequest*,
                                          v1::SignCheckpointResponse* response) {
  const Caller caller = peers_.CallerOf(Role::kOwner, *context);
  const absl::Status in_rate = parts_.rates.Take(Intent::kSignCheckpoint);
  const absl::StatusOr<Checkpointer::Signed> checkpoint =
      in_rate.ok() ? parts_.checkpointer.Sign(caller) : in_rate;
  if (checkpoint.ok()) {
    parts_.recorder.CountSignature();
    response->set_note(checkpoint->note);
    response->set_journal_sequence(checkpoint->sequence);
    return grpc::Status::OK;
  }
  if (absl::IsUnavailable(checkpoint.status())) return ToGrpc(checkpoint.status());
  JournalEntry entry;
  entry.caller = caller;
  entry.intent = Intent::kSignCheckpoint;
  return ToGrpc(parts_.recorder.Refuse(std::move(entry), checkpoint.status()));
}

}  // namespace auspex::keyd
