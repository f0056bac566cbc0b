// SPDX-License-Identifier: AGPL-3.0-only
// Journals for tests: made with small segments and many checkpoints, opened again from their files,
// and taken apart into frames by hand.
#ifndef AUSPEX_TESTS_KEYD_JOURNAL_RIG_H_
#define AUSPEX_TESTS_KEYD_JOURNAL_RIG_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "keyd/checkpointer.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {

using Files = MemoryJournalFolder::Files;

// The signing of a submission, a different one for each number.
JournalEntry EntryOf(int number);

// A segment holds about six records, a checkpoint comes after four.
inline constexpr JournalOptions kSmall{1200, 4};

// A journal with its checkpointer, whose upkeep is done after each record by the caller's thread.
struct KeptJournal {
  explicit KeptJournal(std::unique_ptr<Journal> opened,
                       std::chrono::milliseconds longest_uncovered = std::chrono::hours(1));
  // The sequence number; 0 when the journal is out of order.
  uint64_t Append(int number);

  FakeClock clock;
  std::unique_ptr<Journal> journal;
  std::unique_ptr<KeyRing> keys;
  Checkpointer checkpointer;
};

// The files of a journal with records 1 to `records` and upkeep, ended in good order.
Files FilesOf(int records, const JournalOptions& options = kSmall);

struct Opened {
  absl::Status status;
  std::vector<JournalRecord> records;
  uint64_t torn = 0;
  Files files;  // afterwards
};
Opened OpenFiles(const Files& files);

// One frame, taken apart by what docs/formats/journal.md says.
struct RawFrame {
  size_t begin = 0, end = 0;  // in its segment
  std::string body;
  bool is_record() const { return body[0] == 1; }
};
size_t HeaderOctets(const std::string& segment);
std::vector<RawFrame> FramesOf(const std::string& segment);

// The names of the segments, in order.
std::vector<std::string> SegmentsOf(const Files& files);

}  // namespace auspex::keyd

#endif  // AUSPEX_TESTS_KEYD_JOURNAL_RIG_H_
