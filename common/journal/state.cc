// SPDX-License-Identifier: AGPL-3.0-only
#include "common/journal/state.h"

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/crypto/sha256.h"

namespace auspex {
namespace {

absl::Status DoesNotFollow(std::string_view name, std::string_view what) {
  return absl::DataLossError(Cat("journal: ", name, ": damaged at offset 0 (header): ", what));
}

}  // namespace

absl::Status JournalState::Damage(const JournalFrame& frame, std::string_view what) const {
  return absl::DataLossError(Cat("journal: ", segment_, ": damaged at offset ", frame.offset,
                                 " (record ", tree_.size() + 1, "): ", what));
}

absl::Status JournalState::BeginSegment(std::string_view name, const SegmentHeader& header) {
  segment_ = std::string(name);
  if (journal_id_.empty()) {
    journal_id_ = header.journal_id;
    tree_ = header.before;
    newest_note_ = header.last_note;
    if (newest_note_.empty()) return absl::OkStatus();
    absl::StatusOr<SignedCheckpoint> note = ParseNote(newest_note_);
    if (!note.ok() || note->checkpoint.origin != origin() ||
        note->checkpoint.size >= tree_.size()) {
      return DoesNotFollow(name, "its checkpoint is none of this journal");
    }
    newest_ = *std::move(note);
    return absl::OkStatus();
  }
  if (header.journal_id != journal_id_) {
    return DoesNotFollow(name, "it belongs to another journal than the segments before it");
  }
  if (header.before.size() != tree_.size()) {
    return DoesNotFollow(name, Cat("it begins with record ", header.before.size() + 1,
                                   ", and the segments before it end with record ", tree_.size()));
  }
  if (header.before.subtrees() != tree_.subtrees()) {
    return DoesNotFollow(name, "its tree is not the one of the records before it");
  }
  if (header.last_note != newest_note_) {
    return DoesNotFollow(name, "its checkpoint is not the newest one before it");
  }
  return absl::OkStatus();
}

absl::Status JournalState::TakeRecord(const JournalFrame& frame) {
  const JournalRecord& record = frame.record;
  if (record.intent == Intent::kSignCheckpoint && record.outcome == Outcome::kSigned) {
    Checkpoint checkpoint{origin(), tree_.size(), tree_.Root()};
    if (Sha256(NoteText(checkpoint)) != AsText(record.digest)) {
      return Damage(frame, "a checkpoint was signed here of other records than those before it");
    }
    const Digest32 before = newest_note_.empty() ? Digest32{} : ToDigest(Sha256(newest_note_));
    if (record.bound != before) {
      return Damage(frame, "the checkpoint before this one is missing or another");
    }
    announced_ = std::move(checkpoint);
  }
  tree_.Append(record.leaf);
  return absl::OkStatus();
}

absl::Status JournalState::TakeCheckpoint(const JournalFrame& frame) {
  if (!announced_ || frame.checkpoint.checkpoint != *announced_) {
    return Damage(frame, "this checkpoint is not the one that was recorded before it");
  }
  announced_.reset();
  newest_note_ = frame.note;
  newest_ = frame.checkpoint;
  ++checkpoints_;
  return absl::OkStatus();
}

absl::StatusOr<SegmentEnd> ReadSegment(const JournalSource& source, std::string_view name,
                                       bool last, JournalState& state,
                                       const SegmentVisitor& visitor) {
  ASSIGN_OR_RETURN(const SegmentStart start, ReadSegmentHeader(source, name));
  RETURN_IF_ERROR(state.BeginSegment(name, start.header));
  SegmentEnd end;
  ASSIGN_OR_RETURN(end.size, source.Size());
  JournalScanner scanner(source, name, {start.octets, state.records() + 1}, end.size,
                         JournalScanner::End::kOfFile);
  JournalFrame frame;
  while (true) {
    end.offset = scanner.position().offset;
    if (visitor.place) visitor.place(scanner.position());
    ASSIGN_OR_RETURN(const JournalScanner::Step step, scanner.Next(frame));
    end.size = scanner.end();
    switch (step) {
      case JournalScanner::Step::kRecord:
        RETURN_IF_ERROR(state.TakeRecord(frame));
        if (visitor.record) visitor.record(frame);
        break;
      case JournalScanner::Step::kCheckpoint:
        RETURN_IF_ERROR(state.TakeCheckpoint(frame));
        if (visitor.checkpoint) visitor.checkpoint(frame);
        break;
      case JournalScanner::Step::kRoom:
      case JournalScanner::Step::kTorn:
        // A segment is cut to its last frame before the next one is made.
        if (!last) return scanner.Damage("the segment does not end with a whole record");
        if (step == JournalScanner::Step::kTorn) end.torn_octets = end.size - end.offset;
        return end;
      case JournalScanner::Step::kEnd:
        return end;
    }
  }
}

}  // namespace auspex
