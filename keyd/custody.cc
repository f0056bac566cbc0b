// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/custody.h"

#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "keyd/secret_file.h"

namespace auspex::keyd {
namespace {

JournalEntry EntryOf(const Caller& caller, Intent intent, std::string subject) {
  JournalEntry entry;
  entry.caller = caller;
  entry.intent = intent;
  entry.outcome = Outcome::kDone;
  entry.subject = std::move(subject);
  return entry;
}

// INVALID_ARGUMENT "worker_id: ..." when the text is not the id that the key of `view` is enrolled as.
absl::Status CheckIsEnrolledAs(const KeyRing::View& view, const std::string& untrusted_worker_id) {
  if (!view.has_key()) return NoKey();
  if (view.enrolment() == nullptr) {
    return absl::FailedPreconditionError("no enrolment: run `auspex bootstrap`");
  }
  const std::string& enrolled = view.enrolment()->worker_id.str();
  if (untrusted_worker_id == enrolled) return absl::OkStatus();
  if (untrusted_worker_id.empty()) {
    return absl::InvalidArgumentError(
        Cat("worker_id: a grant names the worker that it is about; this key is enrolled as ",
            enrolled));
  }
  return absl::InvalidArgumentError(Cat("worker_id: this key is enrolled as ", enrolled,
                                        ", not as '", Printable(untrusted_worker_id), "'"));
}

}  // namespace

absl::Status Custody::CreateKey(const Caller& caller, const Place& place) {
  std::lock_guard lock(mutex_);
  if (absl::Status s = rates_.Take(Intent::kCreateKey); !s.ok()) {
    return recorder_.Refuse(EntryOf(caller, Intent::kCreateKey, ""), s);
  }
  const KeyRing::View view = keys_.view();
  if (view.has_key()) {
    return recorder_.Refuse(
        EntryOf(caller, Intent::kCreateKey, view.public_key_hex()),
        absl::AlreadyExistsError(Cat("there is a key already: ", view.public_key_hex())));
  }
  ASSIGN_OR_RETURN(SecretKey key, SecretKey::Generate());
  RETURN_IF_ERROR(
      recorder_.Record(EntryOf(caller, Intent::kCreateKey, key.public_key_hex())).status());
  return keys_.Install(std::move(key), place);
}

absl::Status Custody::RefuseAct(const Caller& caller, Intent intent, const absl::Status& why) {
  return recorder_.Refuse(EntryOf(caller, intent, keys_.view().public_key_hex()), why);
}

absl::Status Custody::ImportKey(const Caller& caller, const std::string& import_path,
                                KeyFormat format, const Place& place) {
  std::lock_guard lock(mutex_);
  const absl::Status imported = ImportLocked(caller, import_path, format, place);
  const absl::Status wiped = OverwriteAndRemove(import_path);
  RETURN_IF_ERROR(imported);
  if (!wiped.ok()) {
    return absl::Status(wiped.code(),
                        Cat("the key is imported, but the file that it came in is left: ",
                            std::string(wiped.message())));
  }
  return absl::OkStatus();
}

absl::Status Custody::ImportLocked(const Caller& caller, const std::string& import_path,
                                   KeyFormat format, const Place& place) {
  constexpr Intent kIntent = Intent::kImportKey;
  if (absl::Status s = rates_.Take(kIntent); !s.ok()) return RefuseAct(caller, kIntent, s);
  if (const KeyRing::View view = keys_.view(); view.has_key()) {
    return RefuseAct(caller, kIntent,
                     absl::AlreadyExistsError(Cat("there is a key already: ", view.public_key_hex(),
                                                  "; `auspex key destroy` removes it")));
  }
  const bool waiting = !SomethingAt(import_path) && place.keystore == Keystore::kSecretService;
  const auto read = [&]() -> absl::StatusOr<SecretKey> {
    if (waiting) return keys_.LoadWaiting();
    ASSIGN_OR_RETURN(const SecretContent content, ReadSecretFile(import_path));
    ASSIGN_OR_RETURN(SecretMemory seed,
                     SeedFromFile(content.octets(), format, keys_.machine_identity()));
    return SecretKey::FromSeed(std::move(seed));
  };
  absl::StatusOr<SecretKey> key = read();
  if (!key.ok()) return RefuseAct(caller, kIntent, key.status());
  RETURN_IF_ERROR(recorder_.Record(EntryOf(caller, kIntent, key->public_key_hex())).status());
  return waiting ? keys_.Adopt(*std::move(key)) : keys_.Install(*std::move(key), place);
}

absl::StatusOr<std::string> Custody::SealKey(const Caller& caller, const Place& place) {
  std::lock_guard lock(mutex_);
  if (absl::Status s = rates_.Take(Intent::kSealKey); !s.ok()) {
    return RefuseAct(caller, Intent::kSealKey, s);
  }
  const KeyRing::View view = keys_.view();
  if (!view.has_key()) return RefuseAct(caller, Intent::kSealKey, NoKey());
  RETURN_IF_ERROR(
      recorder_.Record(EntryOf(caller, Intent::kSealKey, view.public_key_hex())).status());
  return keys_.Move(place);
}

absl::Status Custody::SetEnrolment(const Caller& caller, const std::string& untrusted_base_url,
                                   const std::string& untrusted_worker_id) {
  std::lock_guard lock(mutex_);
  absl::StatusOr<Enrolment> enrolment = Enrolment::Parse(untrusted_base_url, untrusted_worker_id);
  absl::Status refusal = rates_.Take(Intent::kSetEnrolment);
  if (refusal.ok()) refusal = enrolment.status();
  if (refusal.ok() && !keys_.view().has_key()) refusal = NoKey();
  if (!refusal.ok()) {
    return recorder_.Refuse(EntryOf(caller, Intent::kSetEnrolment, untrusted_worker_id), refusal);
  }
  const std::string subject = Cat(enrolment->worker_id.str(), " ", enrolment->base_url.str());
  // A grant was given for what was pinned before.
  grants_.Clear();
  return created_.StartAnew([&]() -> absl::Status {
    RETURN_IF_ERROR(recorder_.Record(EntryOf(caller, Intent::kSetEnrolment, subject)).status());
    return keys_.SetEnrolment(*enrolment);
  });
}

absl::StatusOr<Custody::Destroyed> Custody::DestroyKey(const Caller& caller) {
  std::lock_guard lock(mutex_);
  const KeyRing::View view = keys_.view();
  if (view.has_key()) {
    RETURN_IF_ERROR(
        recorder_.Record(EntryOf(caller, Intent::kDestroyKey, view.public_key_hex())).status());
  }
  grants_.Clear();
  Destroyed destroyed;
  destroyed.existed = view.has_key();
  ASSIGN_OR_RETURN(destroyed.removed, keys_.Destroy());
  return destroyed;
}

absl::StatusOr<int64_t> Custody::OpenGrant(const Caller& caller, OwnerAct act,
                                           const std::string& untrusted_worker_id,
                                           uint32_t lifetime_seconds) {
  std::lock_guard lock(mutex_);
  const auto entry = [&](std::string_view worker) {
    return EntryOf(caller, Intent::kOpenGrant, Cat(OwnerActWord(act), " ", worker));
  };
  const KeyRing::View view = keys_.view();
  absl::Status refusal = rates_.Take(Intent::kOpenGrant);
  if (refusal.ok()) refusal = Grants::CheckLifetime(lifetime_seconds);
  if (refusal.ok()) refusal = CheckIsEnrolledAs(view, untrusted_worker_id);
  if (!refusal.ok()) return recorder_.Refuse(entry(untrusted_worker_id), refusal);
  RETURN_IF_ERROR(recorder_.Record(entry(untrusted_worker_id)).status());
  return grants_.Open(act, {untrusted_worker_id, view.public_key_hex()}, lifetime_seconds);
}

}  // namespace auspex::keyd
