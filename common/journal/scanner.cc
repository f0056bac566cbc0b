// SPDX-License-Identifier: AGPL-3.0-only
#include "common/journal/scanner.h"

#include <algorithm>

#include "common/base/cat.h"
#include "common/base/status_macros.h"

namespace auspex {
namespace {
constexpr size_t kBufferOctets = 256 * 1024;
// What a disk writes as a whole or not at all, at least.
constexpr uint64_t kSector = 512;
// More than all calls that keyd runs at the same time can hand to one flush.
constexpr uint64_t kMaxFlush = 512 * 1024;
// More than a flush and the room that keyd sets aside behind it, twice over: what is longer was not
// made by keyd, and is not worth reading to its end.
constexpr uint64_t kMaxTail = 2 * (kMaxFlush + 256 * 1024);

bool IsZero(std::string_view octets) {
  return octets.find_first_not_of('\0') == std::string_view::npos;
}

// True when one of the sectors that [begin, end) of the file touches is missing from `octets`,
// which begin at `begin`. Neither a length word nor a body nor a check has that many zero
// octets in these places, but for one octet alone at the end: that one counts if
// `all_but_last_good`.
bool MissesASector(std::string_view octets, uint64_t begin, uint64_t end, bool all_but_last_good) {
  for (uint64_t at = begin; at < end;) {
    const uint64_t next = std::min(end, (at / kSector + 1) * kSector);
    const bool telling = next - at > 1 || at == begin || all_but_last_good;
    if (telling && IsZero(octets.substr(at - begin, next - at))) return true;
    at = next;
  }
  return false;
}

bool IsBody(std::string_view body) {
  if (body.empty() || static_cast<uint8_t>(body[0]) != kCheckpointKind) {
    return DecodeRecordBody(body).has_value();
  }
  return ParseNote(body.substr(1)).ok();
}

// True when a later flush begins somewhere in `octets`: then everything before it was durable once.
bool HoldsAFlush(std::string_view octets) {
  for (size_t at = 1; at + 4 <= octets.size(); ++at) {
    const auto word = static_cast<uint32_t>(ReadLe(octets.substr(at, 4)));
    const std::optional<size_t> length = LengthOfWord(word);
    if (length && BeginsFlush(word) && IsBody(octets.substr(at + 4, *length))) return true;
  }
  return false;
}

}  // namespace

JournalScanner::JournalScanner(const JournalSource& source, std::string_view name,
                               const JournalPosition& start, uint64_t end, End kind)
    : source_(source),
      name_(name),
      position_(start),
      end_(end),
      kind_(kind),
      buffer_offset_(start.offset) {}

absl::StatusOr<std::string_view> JournalScanner::Peek(size_t octets) {
  const uint64_t left = end_ - position_.offset;
  const size_t wanted = static_cast<size_t>(std::min<uint64_t>(octets, left));
  size_t skip = static_cast<size_t>(position_.offset - buffer_offset_);
  if (buffer_.size() - skip < wanted) {
    buffer_.resize(std::min<uint64_t>(kBufferOctets, left));
    buffer_offset_ = position_.offset;
    skip = 0;
    ASSIGN_OR_RETURN(const size_t got, source_.ReadAt(position_.offset, std::span(buffer_)));
    if (got < buffer_.size()) return Damage("the file shrank while it was read");
  }
  return std::string_view(buffer_).substr(skip, std::max(wanted, buffer_.size() - skip));
}

absl::StatusOr<uint64_t> JournalScanner::EndOfContent() {
  std::string chunk(64 * 1024, '\0');
  uint64_t content_end = position_.offset;
  for (uint64_t offset = position_.offset; offset < end_;) {
    const size_t wanted = static_cast<size_t>(std::min<uint64_t>(chunk.size(), end_ - offset));
    ASSIGN_OR_RETURN(const size_t got, source_.ReadAt(offset, std::span(chunk).first(wanted)));
    if (got == 0) break;
    const size_t last = std::string_view(chunk).substr(0, got).find_last_not_of('\0');
    if (last != std::string_view::npos) content_end = offset + last + 1;
    offset += got;
  }
  return content_end;
}

absl::StatusOr<JournalScanner::Step> JournalScanner::JudgeTail(std::optional<size_t> whole,
                                                               std::string_view what,
                                                               bool all_but_last_good) {
  const uint64_t begin = position_.offset;
  if (end_ - begin > kMaxTail) {
    return Damage(Cat(what, ", and ", end_ - begin, " octets follow: more than keyd sets aside"));
  }
  ASSIGN_OR_RETURN(const uint64_t content_end, EndOfContent());
  if (content_end == begin) return Step::kRoom;
  if (content_end - begin > kMaxFlush) return Damage(what);
  // Without its length only the place of the length word itself can be judged: the rest of its
  // sector, or, when the word crosses into the next one, that one as well.
  uint64_t record_end = (begin / kSector + 1) * kSector;
  if (whole) {
    record_end = begin + *whole;
  } else if (record_end - begin < 4) {
    record_end += kSector;
  }
  record_end = std::min(record_end, end_);
  std::string tail(std::max(record_end, content_end) - begin, '\0');
  ASSIGN_OR_RETURN(const size_t got, source_.ReadAt(begin, std::span(tail)));
  if (got < tail.size()) return Damage("the file shrank while it was read");
  if (!MissesASector(tail, begin, record_end, all_but_last_good) || HoldsAFlush(tail))
    return Damage(what);
  return Step::kTorn;
}

absl::Status JournalScanner::Damage(std::string_view what) const {
  return absl::DataLossError(Cat("journal: ", name_, ": damaged at offset ", position_.offset,
                                 " (record ", position_.next_sequence, "): ", what));
}

absl::StatusOr<JournalScanner::Step> JournalScanner::Next(JournalFrame& frame) {
  while (true) {
    absl::StatusOr<Step> step = Look(frame);
    if (step.ok() ? *step != Step::kTorn : !absl::IsDataLoss(step.status())) return step;
    // What is no frame is judged when it is the same at a second look: keyd may be in the middle of writing it.
    ASSIGN_OR_RETURN(const bool changed, Changed());
    if (!changed) return step;
  }
}

absl::StatusOr<bool> JournalScanner::Changed() {
  bool changed = false;
  if (kind_ == End::kOfFile) {
    ASSIGN_OR_RETURN(const uint64_t size, source_.Size());
    if (size < position_.offset) return false;
    changed = size != end_;
    end_ = size;
  }
  const std::string before = buffer_.substr(static_cast<size_t>(position_.offset - buffer_offset_));
  buffer_.resize(std::min<uint64_t>(kBufferOctets, end_ - position_.offset));
  buffer_offset_ = position_.offset;
  ASSIGN_OR_RETURN(const size_t got, source_.ReadAt(position_.offset, std::span(buffer_)));
  buffer_.resize(got);
  const size_t both = std::min(before.size(), got);
  return changed || buffer_.compare(0, both, before, 0, both) != 0;
}

absl::StatusOr<JournalScanner::Step> JournalScanner::Look(JournalFrame& frame) {
  if (position_.offset >= end_) return Step::kEnd;
  const uint64_t left = end_ - position_.offset;
  if (left < 4) return Step::kTorn;
  ASSIGN_OR_RETURN(std::string_view octets, Peek(4));
  const std::optional<size_t> length =
      LengthOfWord(static_cast<uint32_t>(ReadLe(octets.substr(0, 4))));
  if (!length) return JudgeTail(std::nullopt, "impossible length");
  const size_t whole = 4 + *length + sizeof(Digest32);
  if (left < whole) return Step::kTorn;
  ASSIGN_OR_RETURN(octets, Peek(whole));
  const std::string_view body = octets.substr(4, *length);
  const Digest32 check = FrameCheck(body);
  const std::string_view stored = octets.substr(4 + *length, sizeof(Digest32));
  if (stored != AsText(check)) {
    const size_t most = sizeof(Digest32) - 1;
    return JudgeTail(whole, "the check does not match",
                     stored.substr(0, most) == AsText(check).substr(0, most));
  }
  frame.offset = position_.offset;
  ASSIGN_OR_RETURN(const Step step, TakeBody(body, check, frame));
  position_.offset += whole;
  if (step == Step::kRecord) position_.next_sequence += 1;
  return step;
}

absl::StatusOr<JournalScanner::Step> JournalScanner::TakeBody(std::string_view body,
                                                              const Digest32& check,
                                                              JournalFrame& frame) {
  if (static_cast<uint8_t>(body[0]) == kCheckpointKind) {
    frame.note = std::string(body.substr(1));
    absl::StatusOr<SignedCheckpoint> note = ParseNote(frame.note);
    if (!note.ok()) return Damage(std::string(note.status().message()));
    frame.checkpoint = *std::move(note);
    return Step::kCheckpoint;
  }
  std::optional<JournalRecord> decoded = DecodeRecordBody(body);
  if (!decoded) return Damage("a field has an unknown value");
  if (decoded->sequence != position_.next_sequence) return Damage("wrong sequence number");
  frame.record = *std::move(decoded);
  frame.record.leaf = check;
  return Step::kRecord;
}

}  // namespace auspex
