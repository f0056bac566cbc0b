// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/assignment_ledger.h"

#include <sodium/crypto_hash_sha256.h>
#include <sodium/randombytes.h>

#include <algorithm>
#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"

namespace auspex::keyd {
namespace {

constexpr size_t kSaltOctets = 16;

std::array<unsigned char, 16> Shorten(const Digest32& digest) {
  std::array<unsigned char, 16> out;
  std::copy_n(digest.begin(), out.size(), out.begin());
  return out;
}

}  // namespace

AssignmentLedger::AssignmentLedger(std::string folder)
    : salt_(kSaltOctets, '\0'), file_(std::move(folder)) {
  randombytes_buf(salt_.data(), salt_.size());
}

AssignmentLedger::Short AssignmentLedger::KeyOf(std::string_view assignment_id) const {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  for (const std::string_view part : {std::string_view(salt_), assignment_id}) {
    crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(part.data()),
                              part.size());
  }
  Digest32 digest;
  crypto_hash_sha256_final(&state, digest.data());
  return Shorten(digest);
}

absl::StatusOr<LedgerFile::Place> AssignmentLedger::Find(std::string_view assignment_id) {
  RETURN_IF_ERROR(broken_);
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

absl::Status AssignmentLedger::status() const {
  std::lock_guard lock(mutex_);
  return broken_;
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

size_t AssignmentLedger::size() const {
  std::lock_guard lock(mutex_);
  return static_cast<size_t>(file_.size());
}

}  // namespace auspex::keyd
