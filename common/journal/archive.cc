// SPDX-License-Identifier: AGPL-3.0-only
#include "common/journal/archive.h"

#include <utility>
#include <vector>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"

namespace auspex {
namespace {

class Folder final : public JournalArchive {
 public:
  explicit Folder(std::string path) : JournalArchive(std::move(path)) {}
  absl::Status Read(JournalState& state, const Visitor& visitor,
                    ArchiveFacts& facts) const override;
  absl::StatusOr<std::string> LooseNote() const override;
};

absl::Status Folder::Read(JournalState& state, const Visitor& visitor, ArchiveFacts& facts) const {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListSegments(name()));
  if (names.empty()) {
    return absl::NotFoundError(Cat(name(), ": no segment of a journal is in this folder"));
  }
  SegmentVisitor segment_visitor;
  segment_visitor.record = visitor.record;
  segment_visitor.checkpoint = visitor.checkpoint;
  bool begun = false;
  segment_visitor.place = [&](const JournalPosition& place) {
    facts.place = place;
    facts.in_header = false;
    if (!begun && visitor.begin) visitor.begin();
    begun = true;
  };
  for (const std::string& segment : names) {
    facts.file = segment;
    facts.in_header = true;
    facts.segments += 1;
    ASSIGN_OR_RETURN(const auto source, OpenJournalSource(Cat(name(), "/", segment)));
    ASSIGN_OR_RETURN(const SegmentEnd end, ReadSegment(*source, segment, segment == names.back(),
                                                       state, segment_visitor));
    facts.octets += end.size;
    facts.torn_octets = end.torn_octets;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Folder::LooseNote() const {
  absl::StatusOr<std::string> note = ReadFile(Cat(name(), "/", kLooseNoteName), kMaxNoteOctets);
  if (absl::IsNotFound(note.status())) return std::string();
  return note;
}

}  // namespace

std::unique_ptr<JournalArchive> OpenJournalFolder(std::string folder) {
  return std::make_unique<Folder>(std::move(folder));
}

}  // namespace auspex
