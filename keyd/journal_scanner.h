// SPDX-License-Identifier: AGPL-3.0-only
// JournalScanner: reads records in order, checking lengths, fields, sequence numbers and the chain
// as it goes. Memory is one buffer of 256 KiB whatever the journal's size. Not thread-safe; the
// file may be appended to meanwhile.
#ifndef AUSPEX_KEYD_JOURNAL_SCANNER_H_
#define AUSPEX_KEYD_JOURNAL_SCANNER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "keyd/journal_file.h"
#include "common/journal/record.h"

namespace auspex::keyd {

// A place between two records.
struct JournalPosition {
  uint64_t offset = 0;  // where the next record begins
  uint64_t next_sequence = 1;
  Digest32 chain{};  // the chain's value there
};

class JournalScanner {
 public:
  enum class Step { kRecord, kEnd, kRoom, kTorn };
  // Reads from `start` up to the octet `end`, as the file was when asked. `file` outlives the
  // scanner.
  JournalScanner(const JournalFile& file, const JournalPosition& start, uint64_t end);

  // kRecord: `record` is filled. kEnd: there is no further octet. kRoom: there are only zero
  // octets, set aside for records to come. kTorn: what is left is what a crash in the middle of one
  // flush leaves (docs/formats/journal.md, "Reading at start"). Anything else is DATA_LOSS naming
  // the offset.
  absl::StatusOr<Step> Next(JournalRecord& record);
  // The place after the last record that was returned.
  const JournalPosition& position() const { return position_; }

 private:
  // Octets from the position on, at least `octets` of them unless the end is nearer.
  absl::StatusOr<std::string_view> Peek(size_t octets);
  // Where the last octet that is not zero ends; the position itself when there is none.
  absl::StatusOr<uint64_t> EndOfContent();
  // kRoom, kTorn or DATA_LOSS with `what` for a place where no good record begins; `whole` is the
  // record's size if its length word can be read, `all_but_last_good` whether only its last octet
  // is not as it should be.
  absl::StatusOr<Step> JudgeTail(std::optional<size_t> whole, std::string_view what,
                                 bool all_but_last_good = false);
  absl::Status Damage(std::string_view what) const;

  const JournalFile& file_;
  JournalPosition position_;
  const uint64_t end_;
  std::string buffer_;
  uint64_t buffer_offset_ = 0;  // of buffer_[0] in the file
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_JOURNAL_SCANNER_H_
