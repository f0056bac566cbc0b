// SPDX-License-Identifier: AGPL-3.0-only
// A journal's segment, as keyd reads it at its start and an auditor reads it later. Properties: the
// reader ends at or before the end of the octets; what it accepted as a header and as records is
// written to the same octets again; a fault is DATA_LOSS or a version of the future, nothing else.
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

}  // namespace
}  // namespace auspex

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // The first octet: which segment, and whether it is the last.
  const std::string_view input = auspex::fuzz::Text(data, size);
  const auto choice = static_cast<uint8_t>(input[0]);
  auspex::Try(input.substr(1), 1 + (choice & 0x7f), (choice & 0x80) == 0);
  return 0;
}
