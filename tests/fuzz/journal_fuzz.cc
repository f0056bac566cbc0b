// SPDX-License-Identifier: AGPL-3.0-only
// A journal's segment, as keyd reads it at its start and an auditor reads it later. Properties: the
// reader ends at or before the end of the octets; what it accepted as a header and as records is
// written to the same octets again; a fault is DATA_LOSS or a version of the future, nothing else.
//
// The first octet: bits 0 to 5, how many records lie before the segment; bit 6, what follows are
// the frames' bodies alone, each after two octets of length, and header and checks are put in place
// here, since no fuzzer finds a SHA-256; bit 7, another segment follows this one.
#include <string>

#include "common/journal/record.h"
#include "common/journal/segment.h"
#include "common/journal/state.h"
#include "tests/fuzz/fuzz.h"

namespace auspex {
namespace {

void Try(std::string_view input, uint64_t first, bool last) {
  const std::string octets(input);
  const MemoryJournalSource source(octets);
  const std::string name = SegmentName(first);
  const auto start = ReadSegmentHeader(source, name);
  if (start.ok()) {
    FUZZ_CHECK(EncodeSegmentHeader(start->header) == octets.substr(0, start->octets));
  }
  JournalState state;
  std::string written;
  SegmentVisitor visitor;
  visitor.record = [&](const JournalFrame& frame) {
    const std::string body = EncodeRecordBody(frame.record, frame.record.sequence);
    FUZZ_CHECK(octets.substr(frame.offset + 4, body.size()) == body);
    FUZZ_CHECK(frame.record.leaf == LeafHash(body));
    FUZZ_CHECK(frame.record.sequence == state.records());
  };
  visitor.checkpoint = [&](const JournalFrame& frame) {
    FUZZ_CHECK(frame.checkpoint.checkpoint.origin == state.origin());
    FUZZ_CHECK(frame.checkpoint.checkpoint.size < state.records());
  };
  const auto end = ReadSegment(source, name, last, state, visitor);
  if (!end.ok()) {
    FUZZ_CHECK(absl::IsDataLoss(end.status()) || absl::IsFailedPrecondition(end.status()));
    return;
  }
  FUZZ_CHECK(start.ok());
  FUZZ_CHECK(end->offset >= start->octets && end->offset <= octets.size());
  FUZZ_CHECK(end->size == octets.size());
  FUZZ_CHECK(last || end->offset == octets.size());
}

// The segment whose frames have the bodies in `input`.
std::string WithChecks(std::string_view input, uint64_t first) {
  SegmentHeader header{std::string(kJournalIdOctets, '\x11'), 1'716'000'000'000'000, {}, ""};
  for (uint64_t i = 1; i < first; ++i) header.before.Append(LeafHash(""));
  std::string octets = EncodeSegmentHeader(header);
  while (input.size() > 2) {
    const size_t length = ReadLe(input.substr(0, 2));
    const std::string_view body = input.substr(2, length);
    input.remove_prefix(2 + body.size());
    if (LengthOfWord(LengthWord(body.size(), true)) != body.size()) break;
    AppendFrame(octets, body, FrameCheck(body), true);
  }
  return octets;
}

}  // namespace
}  // namespace auspex

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view input = auspex::fuzz::Text(data, size);
  const auto choice = static_cast<uint8_t>(input[0]);
  const uint64_t first = 1 + (choice & 0x3f);
  input.remove_prefix(1);
  const std::string octets =
      (choice & 0x40) != 0 ? auspex::WithChecks(input, first) : std::string(input);
  auspex::Try(octets, first, (choice & 0x80) == 0);
  return 0;
}
