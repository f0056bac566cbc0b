// SPDX-License-Identifier: AGPL-3.0-only
// Journal::Open: everything that is read and compared at start (docs/formats/journal.md, "Reading at
// start").
#include <sodium/randombytes.h>

#include <algorithm>
#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "keyd/journal.h"

namespace auspex::keyd {
namespace {

absl::Status BadCheckpointFile(std::string_view what) {
  return absl::DataLossError(Cat("journal: ", kCheckpointFile, ": ", what));
}

// Whether the journal, as it was read, holds what the file says.
absl::Status CompareWithFile(const std::optional<std::string>& file, bool seen,
                             const JournalState& state) {
  if (!file) {
    // It is written after each checkpoint before the next one begins.
    if (state.checkpoints() < 2) return absl::OkStatus();
    return BadCheckpointFile("is missing, and the journal holds checkpoints: it was removed");
  }
  if (seen) return absl::OkStatus();
  const absl::StatusOr<SignedCheckpoint> note = ParseNote(*file);
  if (!note.ok())
    return BadCheckpointFile(Cat("is damaged: ", std::string(note.status().message())));
  const Checkpoint& checkpoint = note->checkpoint;
  if (checkpoint.origin != state.origin()) {
    return BadCheckpointFile(Cat("is one of ", checkpoint.origin, ", and the segments belong to ",
                                 state.origin(), ": segments of another journal were put here"));
  }
  if (checkpoint.size > state.records()) {
    return BadCheckpointFile(Cat("says ", checkpoint.size, " records, and the segments hold only ",
                                 state.records(), ": records were dropped from the end"));
  }
  return BadCheckpointFile(Cat("was signed after ", checkpoint.size,
                               " records, and the segments do not hold it: records were dropped or "
                               "replaced"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(std::unique_ptr<JournalFolder> folder,
                                                       const JournalOptions& options,
                                                       int64_t now_micros, const Visitor& visit) {
  std::unique_ptr<Journal> journal(new Journal(std::move(folder), options));
  JournalFolder& disk = *journal->folder_;
  ASSIGN_OR_RETURN(const std::vector<std::string> all, disk.List());
  std::vector<std::string> names;
  for (const std::string& name : all) {
    if (FirstSequenceOf(name)) names.push_back(name);
    // A crash in the middle of making a segment or a checkpoint.
    if (name.ends_with(kUnfinishedSuffix)) RETURN_IF_ERROR(disk.Remove(name));
  }
  std::sort(names.begin(), names.end());
  ASSIGN_OR_RETURN(const std::optional<std::string> checkpoint,
                   ReadWhole(disk, std::string(kCheckpointFile), kMaxNoteOctets));
  if (names.empty()) {
    if (checkpoint) return BadCheckpointFile("is there without any segment: they were removed");
    RETURN_IF_ERROR(journal->Begin(now_micros));
    return journal;
  }
  RETURN_IF_ERROR(journal->Read(names, checkpoint, visit));
  if (!journal->newest_note_.empty() && journal->newest_note_ != checkpoint) {
    // A crash between the frame and the file.
    RETURN_IF_ERROR(PutWhole(disk, std::string(kCheckpointFile), journal->newest_note_));
  }
  return journal;
}

// Makes the first segment.
absl::Status Journal::Begin(int64_t now_micros) {
  journal_id_.resize(kJournalIdOctets);
  randombytes_buf(journal_id_.data(), journal_id_.size());
  const std::string name = SegmentName(1);
  const std::string header = EncodeSegmentHeader({journal_id_, now_micros, CompactTree(), ""});
  RETURN_IF_ERROR(PutWhole(*folder_, name, header));
  ASSIGN_OR_RETURN(file_, folder_->Open(name));
  segments_ = {{1, header.size(), header.size()}};
  index_ = {{1, 0, header.size()}};
  next_checkpoint_ = options_.checkpoint_every;
  return absl::OkStatus();
}

absl::Status Journal::Read(const std::vector<std::string>& names,
                           const std::optional<std::string>& checkpoint, const Visitor& visit) {
  if (names.front() != SegmentName(1)) {
    return absl::DataLossError(
        Cat("journal: ", names.front(), ": is the first segment; those before it are missing"));
  }
  JournalState state;
  bool seen = false;
  SegmentVisitor visitor;
  visitor.record = [&](const JournalFrame& frame) { visit(frame.record); };
  visitor.checkpoint = [&](const JournalFrame& frame) { seen = seen || frame.note == checkpoint; };
  visitor.place = [&](const JournalPosition& place) {
    const bool begins = segments_.back().header == 0;
    if (begins) segments_.back().header = place.offset;
    const uint64_t noted = index_.empty() ? 0 : index_.back().sequence;
    if (begins || ((place.next_sequence - 1) % kIndexStep == 0 && noted != place.next_sequence)) {
      index_.push_back({place.next_sequence, segments_.size() - 1, place.offset});
    }
  };
  for (const std::string& name : names) {
    const bool last = name == names.back();
    ASSIGN_OR_RETURN(std::unique_ptr<JournalFile> file, folder_->Open(name));
    segments_.push_back({*FirstSequenceOf(name), 0, 0});
    ASSIGN_OR_RETURN(const SegmentEnd end, ReadSegment(*file, name, last, state, visitor));
    segments_.back().end = end.offset;
    if (!last) continue;
    if (end.torn_octets > 0) {
      torn_octets_ = end.torn_octets;
      RETURN_IF_ERROR(file->Truncate(end.offset));
      RETURN_IF_ERROR(file->Sync());
    }
    file_ = std::move(file);
  }
  RETURN_IF_ERROR(CompareWithFile(checkpoint, seen, state));
  journal_id_ = state.journal_id();
  tree_ = durable_tree_ = state.tree();
  newest_note_ = state.newest_note();
  const uint64_t covered = newest_note_.empty() ? 0 : state.newest().checkpoint.size;
  next_checkpoint_ = covered + options_.checkpoint_every;
  return absl::OkStatus();
}

}  // namespace auspex::keyd
