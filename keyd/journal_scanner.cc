// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/journal_scanner.h"

#include <algorithm>

#include "common/base/cat.h"
#include "common/base/status_macros.h"

namespace auspex::keyd {
namespace {
constexpr size_t kBufferOctets = 256 * 1024;
}  // namespace

JournalScanner::JournalScanner(const JournalFile& file, const JournalPosition& start, uint64_t end)
    : file_(file), position_(start), end_(end), buffer_offset_(start.offset) {}

absl::StatusOr<std::string_view> JournalScanner::Peek(size_t octets) {
  const uint64_t left = end_ - position_.offset;
  const size_t wanted = static_cast<size_t>(std::min<uint64_t>(octets, left));
  size_t skip = static_cast<size_t>(position_.offset - buffer_offset_);
  if (buffer_.size() - skip < wanted) {
    buffer_.resize(std::min<uint64_t>(kBufferOctets, left));
    ASSIGN_OR_RETURN(const size_t got, file_.ReadAt(position_.offset, std::span(buffer_)));
    if (got < buffer_.size())
      return absl::DataLossError("journal: the file shrank while it was read");
    buffer_offset_ = position_.offset;
    skip = 0;
  }
  return std::string_view(buffer_).substr(skip, std::max(wanted, buffer_.size() - skip));
}

absl::StatusOr<bool> JournalScanner::OnlyZeroOctetsLeft() {
  std::string chunk(64 * 1024, '\0');
  for (uint64_t offset = position_.offset; offset < end_;) {
    const size_t wanted = static_cast<size_t>(std::min<uint64_t>(chunk.size(), end_ - offset));
    ASSIGN_OR_RETURN(const size_t got, file_.ReadAt(offset, std::span(chunk).first(wanted)));
    if (got == 0) break;
    if (std::any_of(chunk.begin(), chunk.begin() + static_cast<ptrdiff_t>(got),
                    [](char c) { return c != '\0'; })) {
      return false;
    }
    offset += got;
  }
  return true;
}

absl::Status JournalScanner::Damage(std::string_view what) const {
  return absl::DataLossError(Cat("journal: damaged at offset ", position_.offset, " (record ",
                                 position_.next_sequence, "): ", what));
}

absl::StatusOr<JournalScanner::Step> JournalScanner::Next(JournalRecord& record) {
  if (position_.offset >= end_) return Step::kEnd;
  const uint64_t left = end_ - position_.offset;
  if (left < 4) return Step::kTorn;
  ASSIGN_OR_RETURN(std::string_view octets, Peek(4));
  const std::optional<size_t> length =
      LengthOfWord(static_cast<uint32_t>(ReadLe(octets.substr(0, 4))));
  if (!length) {
    // After a loss of power a file system may keep the new size of a file without its new octets.
    ASSIGN_OR_RETURN(const bool zero, OnlyZeroOctetsLeft());
    if (zero) return Step::kTorn;
    return Damage("impossible length");
  }
  const size_t whole = 4 + *length + sizeof(Digest32);
  if (left < whole) return Step::kTorn;
  ASSIGN_OR_RETURN(octets, Peek(whole));
  const std::string_view body = octets.substr(4, *length);
  const Digest32 chain = ChainAfter(position_.chain, body);
  if (octets.substr(4 + *length, sizeof(Digest32)) != AsText(chain)) {
    return Damage("the chain does not match");
  }
  std::optional<JournalRecord> decoded = DecodeRecordBody(body);
  if (!decoded) return Damage("a field has an unknown value");
  if (decoded->sequence != position_.next_sequence) return Damage("wrong sequence number");
  record = *std::move(decoded);
  record.chain = chain;
  position_.offset += whole;
  position_.next_sequence += 1;
  position_.chain = chain;
  return Step::kRecord;
}

}  // namespace auspex::keyd
