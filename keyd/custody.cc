// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/custody.h"

#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"

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

absl::Status Custody::CreateKey(const Caller& caller) {
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
  return keys_.Install(std::move(key));
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

absl::StatusOr<bool> Custody::DestroyKey(const Caller& caller) {
  std::lock_guard lock(mutex_);
  const KeyRing::View view = keys_.view();
  if (view.has_key()) {
    RETURN_IF_ERROR(
        recorder_.Record(EntryOf(caller, Intent::kDestroyKey, view.public_key_hex())).status());
  }
  grants_.Clear();
  RETURN_IF_ERROR(keys_.Destroy());
  return view.has_key();
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
