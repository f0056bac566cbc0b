// SPDX-License-Identifier: AGPL-3.0-only
// A journal that keyd goes on writing while somebody reads it: whatever the moment, it is good as far as it goes.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/cat.h"
#include "common/journal/state.h"
#include "tests/journal/made_journal.h"

namespace auspex {
namespace {

using testing::MadeJournal;

constexpr size_t kRoom = 4096;

// The segment `whole`, of which a reader sees so much: the first of `seen` until its read number `at`, with that read the next one, and so on.
class LiveSource : public JournalSource {
 public:
  LiveSource(std::string whole, std::vector<size_t> seen, int at, bool has_room)
      : whole_(std::move(whole)), seen_(std::move(seen)), at_(at), has_room_(has_room) {}

  absl::StatusOr<uint64_t> Size() const override { return Now().size(); }
  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) const override {
    ++reads_;
    const std::string now = Now();
    if (offset >= now.size()) return size_t{0};
    return now.copy(out.data(), out.size(), offset);
  }
  int reads() const { return reads_; }

 private:
  std::string Now() const {
    const size_t step = reads_ < at_ ? 0 : static_cast<size_t>(reads_ - at_) + 1;
    std::string now = whole_.substr(0, seen_[std::min(step, seen_.size() - 1)]);
    if (has_room_) now.resize(whole_.size() + kRoom);
    return now;
  }

  const std::string whole_;
  const std::vector<size_t> seen_;
  const int at_;
  const bool has_room_;
  mutable int reads_ = 0;
};

TEST(LiveJournal, WhateverIsWrittenBetweenTwoReadsItIsGood) {
  MadeJournal journal;
  for (int i = 0; i < 12; ++i) journal.AddSigned(Cat("octets ", i), Cat("asg-", i));
  const auto& [name, whole] = *journal.segments().begin();
  const auto place = [&journal](uint64_t record) { return journal.places().at(record).second; };
  for (const bool has_room : {true, false}) {
    // The sixth record in one piece, or in two whose border is anywhere in it; then all the rest.
    for (size_t border = place(6); border <= place(7); ++border) {
      for (int at = 1;; ++at) {
        SCOPED_TRACE(Cat("room ", has_room, ", border ", border - place(6), ", read ", at));
        const LiveSource source(whole, {place(6), border, place(8), whole.size()}, at, has_room);
        JournalState state;
        const absl::StatusOr<SegmentEnd> end = ReadSegment(source, name, true, state, {});
        ASSERT_TRUE(end.ok()) << end.status();
        ASSERT_EQ(end->torn_octets, 0u);
        ASSERT_GE(state.records(), 5u);
        if (source.reads() < at) break;
      }
    }
  }
}

// keyd cuts the room off before it goes on in another segment.
TEST(LiveJournal, RoomThatIsCutOffWhileItIsReadIsNoDamage) {
  // In one piece, and in more than the reader holds at a time.
  for (const uint64_t records : {4, 3000}) {
    MadeJournal journal;
    for (uint64_t i = 0; i < records; ++i) journal.AddSigned(Cat("octets ", i), Cat("asg-", i));
    const auto& [name, whole] = *journal.segments().begin();
    EXPECT_EQ(whole.size() > 256 * 1024, records > 4);
    for (int at = 1;; ++at) {
      SCOPED_TRACE(Cat(records, " records, read ", at));
      std::string with_room = whole;
      with_room.resize(whole.size() + kRoom);
      const LiveSource source(with_room, {with_room.size(), whole.size()}, at, false);
      JournalState state;
      const absl::StatusOr<SegmentEnd> end = ReadSegment(source, name, true, state, {});
      ASSERT_TRUE(end.ok()) << end.status();
      EXPECT_EQ(state.records(), records);
      if (source.reads() < at) break;
    }
  }
}

}  // namespace
}  // namespace auspex
