// SPDX-License-Identifier: AGPL-3.0-only
#include "common/journal/segment.h"

#include <bit>
#include <charconv>
#include <span>
#include <utility>
#include <vector>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/crypto/sha256.h"
#include "common/journal/record.h"

namespace auspex {
namespace {

constexpr std::string_view kMagic = "auspex journal\r\n";  // a transfer in text mode breaks it
static_assert(kMagic.size() == 16);
constexpr uint32_t kVersion = 2;
constexpr size_t kDigits = 20;
constexpr std::string_view kSuffix = ".log";

absl::Status Damage(std::string_view name, size_t offset, std::string_view what) {
  return absl::DataLossError(
      Cat("journal: ", name, ": damaged at offset ", offset, " (header): ", what));
}

}  // namespace

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  const std::vector<Digest32>& subtrees = header.before.subtrees();
  std::string out(kMagic);
  AppendLe(out, kVersion, 4);
  AppendLe(out, kMinSegmentHeader + subtrees.size() * sizeof(Digest32) + header.last_note.size(),
           4);
  out += header.journal_id;
  AppendLe(out, static_cast<uint64_t>(header.time_micros), 8);
  AppendLe(out, header.before.size(), 8);
  for (const Digest32& subtree : subtrees) out += AsText(subtree);
  AppendLe(out, header.last_note.size(), 2);
  out += header.last_note;
  out += Sha256(out);
  return out;
}

absl::StatusOr<SegmentStart> ReadSegmentHeader(const JournalSource& source, std::string_view name) {
  std::string octets(kMaxSegmentHeader, '\0');
  ASSIGN_OR_RETURN(const size_t got, source.ReadAt(0, std::span(octets)));
  octets.resize(got);
  if (octets.size() < kMinSegmentHeader) {
    return Damage(name, got, "the header is cut short");
  }
  if (std::string_view(octets).substr(0, kMagic.size()) != kMagic) {
    return Damage(name, 0, "this is no journal of auspex-keyd");
  }
  const uint64_t version = ReadLe(std::string_view(octets).substr(16, 4));
  if (version != kVersion) {
    return absl::FailedPreconditionError(Cat("journal: ", name, ": offset 16: version ", version,
                                             " is not known to this release, which writes ",
                                             kVersion));
  }
  const uint64_t size = ReadLe(std::string_view(octets).substr(20, 4));
  if (size < kMinSegmentHeader || size > octets.size()) {
    return Damage(name, 20, "impossible length of the header");
  }
  octets.resize(size);
  const std::string_view signed_part = std::string_view(octets).substr(0, size - 32);
  if (Sha256(signed_part) != std::string_view(octets).substr(size - 32)) {
    return Damage(name, 0, "the header's SHA-256 does not match");
  }
  SegmentStart start;
  start.octets = size;
  start.header.journal_id = std::string(signed_part.substr(24, kJournalIdOctets));
  start.header.time_micros = static_cast<int64_t>(ReadLe(signed_part.substr(40, 8)));
  const uint64_t count = ReadLe(signed_part.substr(48, 8));
  const size_t subtrees_octets = static_cast<size_t>(std::popcount(count)) * sizeof(Digest32);
  if (size < kMinSegmentHeader + subtrees_octets) {
    return Damage(name, 48, "the header has too few subtrees");
  }
  std::vector<Digest32> subtrees;
  for (size_t at = 0; at < subtrees_octets; at += sizeof(Digest32)) {
    subtrees.push_back(ToDigest(signed_part.substr(56 + at)));
  }
  std::optional<CompactTree> tree = CompactTree::Continue(count, std::move(subtrees));
  if (!tree) return Damage(name, 48, "the header's subtrees do not fit its count");
  start.header.before = *std::move(tree);
  const std::string_view rest = signed_part.substr(56 + subtrees_octets);
  if (ReadLe(rest.substr(0, 2)) != rest.size() - 2) {
    return Damage(name, 56 + subtrees_octets, "the header's note has another length");
  }
  start.header.last_note = std::string(rest.substr(2));
  if (FirstSequenceOf(name) != count + 1) {
    return Damage(name, 48,
                  Cat("the segment begins with record ", count + 1, " and has another's name"));
  }
  return start;
}

std::string SegmentName(uint64_t first_sequence) {
  const std::string digits = Cat(first_sequence);
  return Cat(std::string(kDigits - digits.size(), '0'), digits, kSuffix);
}

std::optional<uint64_t> FirstSequenceOf(std::string_view name) {
  if (name.size() != kDigits + kSuffix.size() || name.substr(kDigits) != kSuffix) {
    return std::nullopt;
  }
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kDigits, number);
  if (error != std::errc() || end != name.data() + kDigits || number == 0) return std::nullopt;
  return number;
}

}  // namespace auspex
