// SPDX-License-Identifier: AGPL-3.0-only
// JournalScanner: reads the frames of one segment in order, checking lengths, fields, sequence
// numbers and each frame's own check as it goes. What frames say together (the tree, checkpoints) is
// JournalState's to judge. Memory is one buffer of 256 KiB whatever the segment's size. Not
// thread-safe; keyd may append to the segment meanwhile, or cut off the room behind its last frame.
#ifndef AUSPEX_COMMON_JOURNAL_SCANNER_H_
#define AUSPEX_COMMON_JOURNAL_SCANNER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/journal/note.h"
#include "common/journal/record.h"
#include "common/journal/source.h"

namespace auspex {

// A place between two frames of a segment.
struct JournalPosition {
  uint64_t offset = 0;  // where the next frame begins
  uint64_t next_sequence = 1;
};

// One frame as it was read.
struct JournalFrame {
  uint64_t offset = 0;   // where it begins
  JournalRecord record;  // of kRecord
  std::string note;      // of kCheckpoint, octet for octet
  SignedCheckpoint checkpoint;
};

class JournalScanner {
 public:
  enum class Step { kRecord, kCheckpoint, kEnd, kRoom, kTorn };
  // What is read of a segment that somebody may write to: it ends where its file does.
  enum class End { kFixed, kOfFile };
  // Reads from `start` up to the octet `end`, the file's size for kOfFile. `source` outlives the scanner; `name` is for errors.
  JournalScanner(const JournalSource& source, std::string_view name, const JournalPosition& start,
                 uint64_t end, End kind = End::kFixed);

  // kRecord, kCheckpoint: `frame` is filled. kEnd: there is no further octet. kRoom: there are only
  // zero octets, set aside for frames to come. kTorn: what is left is what a crash in the middle of
  // one flush leaves (docs/formats/journal.md, "Reading at start"); it is damage in every segment
  // but the last. Anything else is DATA_LOSS naming the file, the offset and the record.
  absl::StatusOr<Step> Next(JournalFrame& frame);
  // The place after the last frame that was returned.
  const JournalPosition& position() const { return position_; }
  // Where reading ends; for kOfFile, the newest size that was needed.
  uint64_t end() const { return end_; }
  // DATA_LOSS with `what`, for the place where the scanner is.
  absl::Status Damage(std::string_view what) const;

 private:
  // One look at the place where the scanner is.
  absl::StatusOr<Step> Look(JournalFrame& frame);
  // Whether there is something else than when it was looked at, which is in the buffer then.
  absl::StatusOr<bool> Changed();
  // Octets from the position on, at least `octets` of them unless the end is nearer.
  absl::StatusOr<std::string_view> Peek(size_t octets);
  // Where the last octet that is not zero ends; the position itself when there is none.
  absl::StatusOr<uint64_t> EndOfContent();
  // kRoom, kTorn or DATA_LOSS with `what` for a place where no good frame begins; `whole` is the
  // frame's size if its length word can be read, `all_but_last_good` whether only its last octet is
  // not as it should be.
  absl::StatusOr<Step> JudgeTail(std::optional<size_t> whole, std::string_view what,
                                 bool all_but_last_good = false);
  absl::StatusOr<Step> TakeBody(std::string_view body, const Digest32& check, JournalFrame& frame);

  const JournalSource& source_;
  const std::string name_;
  JournalPosition position_;
  uint64_t end_;
  const End kind_;
  std::string buffer_;
  uint64_t buffer_offset_ = 0;  // of buffer_[0] in the segment
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_JOURNAL_SCANNER_H_
