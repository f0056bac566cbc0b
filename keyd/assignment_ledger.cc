// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/assignment_ledger.h"

#include <sodium/crypto_shorthash_siphash24.h>
#include <sodium/randombytes.h>

#include <algorithm>
#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"

namespace auspex::keyd {
namespace {

std::array<unsigned char, 16> Shorten(const Digest32& digest) {
  std::array<unsigned char, 16> out;
  std::copy_n(digest.begin(), out.size(), out.begin());
  return out;
}

}  // namespace

AssignmentLedger::AssignmentLedger(std::string folder)
    : folder_(std::move(folder)),
      key_(crypto_shorthash_siphashx24_KEYBYTES, '\0'),
      load_(std::make_unique<LedgerLoad>(folder_)),
      file_(folder_) {
  randombytes_buf(key_.data(), key_.size());
}

AssignmentLedger::Short AssignmentLedger::KeyOf(std::string_view assignment_id) const {
  Short key;
  static_assert(sizeof key == crypto_shorthash_siphashx24_BYTES);
  crypto_shorthash_siphashx24(
      key.data(), reinterpret_cast<const unsigned char*>(assignment_id.data()),
      assignment_id.size(), reinterpret_cast<const unsigned char*>(key_.data()));
  return key;
}

absl::Status AssignmentLedger::FinishLoad() {
  if (load_ != nullptr && broken_.ok()) {
    if (!load_->empty()) broken_ = load_->Finish(file_);
    load_.reset();
  }
  return broken_;
}

absl::StatusOr<LedgerFile::Place> AssignmentLedger::Find(std::string_view assignment_id) {
  RETURN_IF_ERROR(FinishLoad());
  ASSIGN_OR_RETURN(const LedgerFile::Place place, file_.Find(KeyOf(assignment_id)));
  if (!place.found && file_.size() >= kMaxAssignments) {
    return absl::ResourceExhaustedError(
        Cat("assignments: ", kMaxAssignments,
            " are remembered already, and none may be forgotten while this journal is in use"));
  }
  return place;
}

void AssignmentLedger::Replay(const JournalRecord& record) {
  if (record.outcome != Outcome::kSigned) return;
  if (record.intent != Intent::kSubmitResult && record.intent != Intent::kSignResult) return;
  std::lock_guard lock(mutex_);
  if (!broken_.ok()) return;
  const absl::Status status = ReplayLocked(record);
  if (!status.ok()) broken_ = status;
}

absl::Status AssignmentLedger::ReplayLocked(const JournalRecord& record) {
  if (load_ != nullptr) {
    LedgerFile::Slot slot;
    slot.key = KeyOf(record.subject);
    if (record.intent == Intent::kSignResult) {
      slot.result = Shorten(record.digest);
    } else {
      slot.body = record.bound;
    }
    return load_->Add(slot);
  }
  ASSIGN_OR_RETURN(LedgerFile::Place place, Find(record.subject));
  if (record.intent == Intent::kSignResult) {
    place.slot.result = Shorten(record.digest);
  } else if (place.slot.body == Digest32{}) {
    place.slot.body = record.bound;
  } else {
    return absl::OkStatus();
  }
  return file_.Put(place);
}

absl::Status AssignmentLedger::status() {
  std::lock_guard lock(mutex_);
  return FinishLoad();
}

absl::Status AssignmentLedger::ClaimSubmission(std::string_view assignment_id,
                                               const Digest32& body) {
  std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(LedgerFile::Place place, Find(assignment_id));
  if (place.slot.body == body) return absl::OkStatus();
  if (place.slot.body != Digest32{}) {
    return absl::AlreadyExistsError(
        Cat("assignment ", assignment_id,
            ": a submission with another body was signed already; only that one may be sent"));
  }
  place.slot.body = body;
  return file_.Put(place);
}

absl::Status AssignmentLedger::ClaimResult(std::string_view assignment_id, const Digest32& result) {
  std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(LedgerFile::Place place, Find(assignment_id));
  const Short digest = Shorten(result);
  if (place.found && place.slot.result == digest) return absl::OkStatus();
  if (place.slot.body != Digest32{}) {
    return absl::AlreadyExistsError(Cat(
        "assignment ", assignment_id, ": its submission was signed already, with another result"));
  }
  place.slot.result = digest;
  return file_.Put(place);
}

size_t AssignmentLedger::size() {
  std::lock_guard lock(mutex_);
  (void)FinishLoad();
  return static_cast<size_t>(file_.size());
}

}  // namespace auspex::keyd
