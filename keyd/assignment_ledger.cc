// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/assignment_ledger.h"

#include <algorithm>

#include "common/base/cat.h"
#include "common/crypto/sha256.h"

namespace auspex::keyd {
namespace {

std::array<unsigned char, 16> Shorten(const Digest32& digest) {
  std::array<unsigned char, 16> out;
  std::copy_n(digest.begin(), out.size(), out.begin());
  return out;
}

absl::Status Full() {
  return absl::ResourceExhaustedError(
      Cat("assignments: ", AssignmentLedger::kMaxAssignments,
          " are remembered already, and none may be forgotten while this journal is in use"));
}

}  // namespace

AssignmentLedger::Short AssignmentLedger::KeyOf(std::string_view assignment_id) {
  return Shorten(ToDigest(Sha256(assignment_id)));
}

AssignmentLedger::Entry* AssignmentLedger::Find(std::string_view assignment_id) {
  const Short key = KeyOf(assignment_id);
  if (const auto found = entries_.find(key); found != entries_.end()) return &found->second;
  if (entries_.size() >= kMaxAssignments) return nullptr;
  return &entries_[key];
}

void AssignmentLedger::Replay(const JournalRecord& record) {
  if (record.outcome != Outcome::kSigned) return;
  if (record.intent != Intent::kSubmitResult && record.intent != Intent::kSignResult) return;
  std::lock_guard lock(mutex_);
  Entry* entry = Find(record.subject);
  if (entry == nullptr) return;
  if (record.intent == Intent::kSubmitResult) {
    if (entry->body == Digest32{}) entry->body = record.bound;
  } else {
    entry->result = Shorten(record.digest);
  }
}

absl::Status AssignmentLedger::ClaimSubmission(std::string_view assignment_id,
                                               const Digest32& body) {
  std::lock_guard lock(mutex_);
  Entry* entry = Find(assignment_id);
  if (entry == nullptr) return Full();
  if (entry->body == Digest32{}) entry->body = body;
  if (entry->body == body) return absl::OkStatus();
  return absl::AlreadyExistsError(
      Cat("assignment ", assignment_id,
          ": a submission with another body was signed already; only that one may be sent"));
}

absl::Status AssignmentLedger::ClaimResult(std::string_view assignment_id, const Digest32& result) {
  std::lock_guard lock(mutex_);
  Entry* entry = Find(assignment_id);
  if (entry == nullptr) return Full();
  const Short digest = Shorten(result);
  if (entry->body != Digest32{} && entry->result != digest) {
    return absl::AlreadyExistsError(Cat(
        "assignment ", assignment_id, ": its submission was signed already, with another result"));
  }
  entry->result = digest;
  return absl::OkStatus();
}

size_t AssignmentLedger::size() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace auspex::keyd
