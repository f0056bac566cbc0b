// SPDX-License-Identifier: AGPL-3.0-only
// JournalState: what the frames of a journal say together, as far as they were read: the tree over
// all records, and the checkpoints, each of which must say what the tree says. ReadSegment reads a
// whole segment into a state; keyd at its start and the offline audit both use it. Not thread-safe.
#ifndef AUSPEX_COMMON_JOURNAL_STATE_H_
#define AUSPEX_COMMON_JOURNAL_STATE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/journal/merkle.h"
#include "common/journal/scanner.h"
#include "common/journal/segment.h"

namespace auspex {

class JournalState {
 public:
  // Begins with an empty tree, or with the one of the first segment's header.
  JournalState() = default;

  // The segment `name` comes next. DATA_LOSS unless its header carries on exactly what was read so
  // far; the first segment may begin with any record.
  absl::Status BeginSegment(std::string_view name, const SegmentHeader& header);
  // A record: into the tree; of a sign_checkpoint record, the digest must be the one of the tree
  // before it, and it must name the checkpoint before it.
  absl::Status TakeRecord(const JournalFrame& frame);
  // A checkpoint: must be what the last sign_checkpoint record was about.
  absl::Status TakeCheckpoint(const JournalFrame& frame);

  const std::string& journal_id() const { return journal_id_; }
  std::string origin() const { return OriginOf(journal_id_); }
  const CompactTree& tree() const { return tree_; }
  uint64_t records() const { return tree_.size(); }
  // Checkpoint frames that were read.
  uint64_t checkpoints() const { return checkpoints_; }
  // The newest signed note, octet for octet; empty when there is none. `newest` is its content.
  const std::string& newest_note() const { return newest_note_; }
  const SignedCheckpoint& newest() const { return newest_; }

 private:
  absl::Status Damage(const JournalFrame& frame, std::string_view what) const;

  std::string segment_;  // being read, for errors
  std::string journal_id_;
  CompactTree tree_;
  uint64_t checkpoints_ = 0;
  std::string newest_note_;
  SignedCheckpoint newest_;
  // What the last sign_checkpoint record is about, until its frame was read.
  std::optional<Checkpoint> announced_;
};

// What is behind the last good frame of a segment.
struct SegmentEnd {
  uint64_t offset = 0;       // where the last frame ends
  uint64_t size = 0;         // of the file; more than `offset` for room or a torn end
  uint64_t torn_octets = 0;  // what a crash left of one flush; 0 when there is nothing or only room
};

struct SegmentVisitor {
  // Each may be empty. Called after the state took the frame.
  std::function<void(const JournalFrame&)> record;
  std::function<void(const JournalFrame&)> checkpoint;
  // Called for each place where a frame may begin, before the frame is read.
  std::function<void(const JournalPosition&)> place;
};

// Reads the segment `name` from its header to its end. In the `last` segment of a journal room and
// a torn end may follow the last frame; anywhere else they are damage.
absl::StatusOr<SegmentEnd> ReadSegment(const JournalSource& source, std::string_view name,
                                       bool last, JournalState& state,
                                       const SegmentVisitor& visitor);

}  // namespace auspex

#endif  // AUSPEX_COMMON_JOURNAL_STATE_H_
