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

}  // namespace

absl::Status Custody::CreateKey(const Caller& caller) {
  std::lock_guard lock(mutex_);
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
  absl::Status refusal = enrolment.status();
  if (refusal.ok() && !keys_.view().has_key()) refusal = NoKey();
  if (!refusal.ok()) {
    return recorder_.Refuse(EntryOf(caller, Intent::kSetEnrolment, untrusted_worker_id), refusal);
  }
  const std::string subject = Cat(enrolment->worker_id.str(), " ", enrolment->base_url.str());
  RETURN_IF_ERROR(recorder_.Record(EntryOf(caller, Intent::kSetEnrolment, subject)).status());
  return keys_.SetEnrolment(*enrolment);
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
                                           uint32_t lifetime_seconds) {
  std::lock_guard lock(mutex_);
  const std::string subject(OwnerActWord(act));
  if (lifetime_seconds > Grants::kMaxSeconds) {
    return recorder_.Refuse(EntryOf(caller, Intent::kOpenGrant, subject),
                            absl::InvalidArgumentError(Cat("lifetime_seconds: ", lifetime_seconds,
                                                           " is more than ", Grants::kMaxSeconds)));
  }
  RETURN_IF_ERROR(recorder_.Record(EntryOf(caller, Intent::kOpenGrant, subject)).status());
  return grants_.Open(act, lifetime_seconds);
}

}  // namespace auspex::keyd
