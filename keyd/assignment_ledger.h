// SPDX-License-Identifier: AGPL-3.0-only
// AssignmentLedger: what was signed for which assignment, so that two different submissions for one
// are never both signed (promise P5). In memory about 90 octets an assignment, rebuilt from the
// journal at start. Safe from any thread.
#ifndef AUSPEX_KEYD_ASSIGNMENT_LEDGER_H_
#define AUSPEX_KEYD_ASSIGNMENT_LEDGER_H_

#include <array>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "absl/status/status.h"
#include "common/journal/digest.h"
#include "common/journal/record.h"

namespace auspex::keyd {

class AssignmentLedger {
 public:
  // More are refused with RESOURCE_EXHAUSTED: forgetting one would let a second submission through.
  static constexpr size_t kMaxAssignments = 4'000'000;

  // Takes over what a record of an earlier run (or of this one) says was signed. Other records are
  // ignored.
  void Replay(const JournalRecord& record);

  // Claims `assignment_id` for a submission with this body, before its record is written. OK when
  // the assignment is free or was claimed for the same body; ALREADY_EXISTS when another was. A
  // claim is never given back: when the record then cannot be written, nothing is signed any more
  // anyway.
  absl::Status ClaimSubmission(std::string_view assignment_id, const Digest32& body);

  // The same for a result. Results may be signed anew (a unit that ran again after a crash) until a
  // submission was signed; from then on only the last one, ALREADY_EXISTS for another.
  absl::Status ClaimResult(std::string_view assignment_id, const Digest32& result);

  size_t size() const;

 private:
  // The first 16 octets of SHA-256(assignment id), and of a result's digest: short, and finding a
  // second text for one stays out of reach.
  using Short = std::array<unsigned char, 16>;
  struct Entry {
    Digest32 body{};  // zero: no submission yet
    Short result{};   // zero: no result yet
  };
  static Short KeyOf(std::string_view assignment_id);
  // The entry, made when missing; nullptr when the ledger is full.
  Entry* Find(std::string_view assignment_id);

  mutable std::mutex mutex_;
  // Keys are octets of SHA-256: any eight of them are a good hash.
  struct FirstOctets {
    size_t operator()(const Short& key) const noexcept {
      size_t hash;
      std::memcpy(&hash, key.data(), sizeof hash);
      return hash;
    }
  };
  std::unordered_map<Short, Entry, FirstOctets> entries_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_ASSIGNMENT_LEDGER_H_
