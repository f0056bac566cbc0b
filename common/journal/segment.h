// SPDX-License-Identifier: AGPL-3.0-only
// The names and headers of the journal's segments (docs/formats/journal.md). A header carries the
// tree on: with it a segment can be checked without the segments before. Encoding and decoding are
// exact inverses. Pure functions, safe from any thread.
#ifndef AUSPEX_COMMON_JOURNAL_SEGMENT_H_
#define AUSPEX_COMMON_JOURNAL_SEGMENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/journal/merkle.h"
#include "common/journal/note.h"
#include "common/journal/source.h"

namespace auspex {

inline constexpr size_t kJournalIdOctets = 16;
// Magic, version, length, id, time, count, length of the note, SHA-256.
inline constexpr size_t kMinSegmentHeader = 16 + 4 + 4 + kJournalIdOctets + 8 + 8 + 2 + 32;
inline constexpr size_t kMaxSegmentHeader = kMinSegmentHeader + 64 * 32 + kMaxNoteOctets;

struct SegmentHeader {
  std::string journal_id;   // 16 octets, random, the same in all segments of a journal
  int64_t time_micros = 0;  // of making, Unix
  CompactTree before;       // the tree of all records before this segment
  std::string last_note;    // the newest checkpoint before this segment; empty when there is none
};

std::string EncodeSegmentHeader(const SegmentHeader& header);

struct SegmentStart {
  SegmentHeader header;
  uint64_t octets = 0;  // of the header: where the first frame begins
};
// Reads the header of the segment that is called `name`. DATA_LOSS naming file and offset when it
// was damaged or belongs under another name, FAILED_PRECONDITION for a version of the future.
absl::StatusOr<SegmentStart> ReadSegmentHeader(const JournalSource& source, std::string_view name);

// "00000000000000000001.log" for 1.
std::string SegmentName(uint64_t first_sequence);
// The number in such a name; nullopt for any other.
std::optional<uint64_t> FirstSequenceOf(std::string_view name);

}  // namespace auspex

#endif  // AUSPEX_COMMON_JOURNAL_SEGMENT_H_
