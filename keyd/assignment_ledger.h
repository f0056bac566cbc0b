// SPDX-License-Identifier: AGPL-3.0-only
// AssignmentLedger: what was signed for which assignment, so that two different submissions for one
// are never both signed (promise P5). Kept in a file without a name (ledger_file.h) and so without
// memory to speak of, rebuilt from the journal at start. Safe from any thread.
#ifndef AUSPEX_KEYD_ASSIGNMENT_LEDGER_H_
#define AUSPEX_KEYD_ASSIGNMENT_LEDGER_H_

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/journal/digest.h"
#include "common/journal/record.h"
#include "keyd/ledger_file.h"
#include "keyd/ledger_load.h"

namespace auspex::keyd {

class AssignmentLedger {
 public:
  // More are refused with RESOURCE_EXHAUSTED: forgetting one would let a second submission through.
  // At the most 4 GiB of disk.
  static constexpr size_t kMaxAssignments = 32'000'000;

  // Keeps its file in `folder`; in memory when that is empty (the self-test and tests).
  explicit AssignmentLedger(std::string folder = "");

  // Takes over what a record of an earlier run (or of this one) says was signed. Other records are
  // ignored. When that fails, `status` says so and every claim is refused with it.
  void Replay(const JournalRecord& record);
  absl::Status status();

  // Claims `assignment_id` for a submission with this body, before its record is written. OK when
  // the assignment is free or was claimed for the same body; ALREADY_EXISTS when another was;
  // RESOURCE_EXHAUSTED when the disk has no room to remember it. A claim is never given back: when
  // the record then cannot be written, nothing is signed any more anyway.
  absl::Status ClaimSubmission(std::string_view assignment_id, const Digest32& body);

  // The same for a result. Results may be signed anew (a unit that ran again after a crash) until a
  // submission was signed; from then on only the last one, ALREADY_EXISTS for another.
  absl::Status ClaimResult(std::string_view assignment_id, const Digest32& result);

  size_t size();

 private:
  // An assignment id's SipHash of 128 bits under a random key of this process (so nobody can choose
  // ids whose keys are alike), and the first 16 octets of a result's SHA-256, of which finding a
  // second text stays out of reach. A body of zeros: no submission yet; a result of zeros: none yet.
  using Short = std::array<unsigned char, 16>;
  Short KeyOf(std::string_view assignment_id) const;
  absl::StatusOr<LedgerFile::Place> Find(std::string_view assignment_id);
  absl::Status ReplayLocked(const JournalRecord& record);
  // Ends the loading that the first replayed records began.
  absl::Status FinishLoad();

  const std::string folder_;
  std::string key_;
  std::mutex mutex_;
  absl::Status broken_;
  std::unique_ptr<LedgerLoad> load_;  // until the first claim or question
  LedgerFile file_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_ASSIGNMENT_LEDGER_H_
