// SPDX-License-Identifier: AGPL-3.0-only
// What a loss of power may leave of the last flush is cut off; anything that it cannot leave is
// damage (docs/formats/journal.md, "Reading at start").
#include <gtest/gtest.h>

#include "tests/keyd/journal_rig.h"

namespace auspex::keyd {
namespace {

const std::string kFirst = SegmentName(1);

Opened OpenContent(const std::string& content) { return OpenFiles({{kFirst, content}}); }

std::string Header() {
  return EncodeSegmentHeader({std::string(kJournalIdOctets, 'j'), 7, CompactTree(), ""});
}

// `groups` flushes of `each` records, encoded here by hand; the places where the flushes begin and
// the last ends. The first record's cause is `shift` octets long, so that all records can be moved
// against the sectors.
std::string FlushesOf(int groups, int each, std::vector<size_t>& places, size_t shift = 0) {
  std::string content = Header();
  places.clear();
  for (int g = 0; g < groups; ++g) {
    places.push_back(content.size());
    for (int i = 0; i < each; ++i) {
      JournalEntry entry = EntryOf(g * each + i);
      if (places.size() == 1 && i == 0) entry.cause = std::string(shift, 'c');
      const std::string body = EncodeRecordBody(entry, static_cast<uint64_t>(g * each + i + 1));
      AppendFrame(content, body, FrameCheck(body), i == 0);
    }
  }
  places.push_back(content.size());
  return content;
}

TEST(JournalTail, AppendsAfterACutTailGoOn) {
  std::vector<size_t> places;
  const std::string good = FlushesOf(2, 1, places);
  auto folder =
      std::make_unique<MemoryJournalFolder>(Files{{kFirst, good.substr(0, good.size() - 5)}});
  const MemoryJournalFolder* raw = folder.get();
  auto journal = Journal::Open(std::move(folder), {}, 0, [](const JournalRecord&) {});
  ASSERT_TRUE(journal.ok()) << journal.status();
  ASSERT_TRUE((*journal)->Append(EntryOf(9)).ok());
  const Opened opened = OpenFiles(raw->files());
  ASSERT_TRUE(opened.status.ok()) << opened.status;
  ASSERT_EQ(opened.records.size(), 2u);
  EXPECT_EQ(opened.records[1].subject, "asg-9");
  EXPECT_EQ(opened.records[1].sequence, 2u);
}

// The journal sets room aside for records to come, and a file system may keep a file's new size but
// not its octets when the power fails.
TEST(JournalTail, ZeroOctetsBehindTheLastRecordAreRoom) {
  std::vector<size_t> places;
  const std::string good = FlushesOf(2, 1, places);
  auto folder =
      std::make_unique<MemoryJournalFolder>(Files{{kFirst, good + std::string(100'000, '\0')}});
  const MemoryJournalFolder* raw = folder.get();
  auto journal = Journal::Open(std::move(folder), {}, 0, [](const JournalRecord&) {});
  ASSERT_TRUE(journal.ok()) << journal.status();
  EXPECT_EQ((*journal)->head().records, 2u);
  EXPECT_EQ((*journal)->torn_octets(), 0u);
  ASSERT_TRUE((*journal)->Append(EntryOf(3)).ok());
  EXPECT_EQ(OpenFiles(raw->files()).records.size(), 3u);
  EXPECT_FALSE(OpenContent(good + std::string(1'000'000, '\0') + "x").status.ok());
}

// A loss of power leaves any choice of the sectors of the flush that was under way, and all of the
// flushes before it.
TEST(JournalTail, AnySectorsOfTheLastFlushMayBeMissing) {
  for (size_t shift = 0; shift < 160; ++shift) {
    std::vector<size_t> places;
    const std::string whole = FlushesOf(3, 7, places, shift) + std::string(3000, '\0');
    const size_t first = places[2] / 512, last = (places[3] - 1) / 512;
    ASSERT_GE(last - first, 2u);
    for (uint32_t missing = 1; missing < 1u << (last - first + 1); ++missing) {
      std::string content = whole;
      for (size_t sector = first; sector <= last; ++sector) {
        if ((missing >> (sector - first) & 1) == 0) continue;
        const size_t from = std::max(sector * 512, places[2]);
        std::fill(content.begin() + static_cast<ptrdiff_t>(from),
                  content.begin() + static_cast<ptrdiff_t>((sector + 1) * 512), '\0');
      }
      if (content == whole) continue;  // the last octet of a check is zero by chance
      const Opened opened = OpenContent(content);
      ASSERT_TRUE(opened.status.ok()) << shift << " " << missing << ": " << opened.status;
      ASSERT_GE(opened.records.size(), 14u) << shift << " " << missing;
      ASSERT_LT(opened.records.size(), 21u) << shift << " " << missing;
    }
  }
}

// What was durable before the last flush began does not go missing by a crash: that is damage.
TEST(JournalTail, AMissingSectorBeforeTheLastFlushIsDamage) {
  std::vector<size_t> places;
  const std::string whole = FlushesOf(3, 7, places) + std::string(3000, '\0');
  for (size_t sector = 1; (sector + 1) * 512 <= places[2]; ++sector) {
    std::string content = whole;
    std::fill_n(content.begin() + static_cast<ptrdiff_t>(sector * 512), 512, '\0');
    EXPECT_EQ(OpenContent(content).status.code(), absl::StatusCode::kDataLoss) << sector;
  }
}

// A checkpoint's frame is a flush of its own: a record that is torn before it is damage as well.
TEST(JournalTail, AMissingSectorBeforeACheckpointIsDamage) {
  Files files = FilesOf(4, {1'000'000, 4});
  std::string& content = files.at(kFirst);
  const std::vector<RawFrame> frames = FramesOf(content);
  ASSERT_FALSE(frames.back().is_record());
  const size_t sector = content.size() / 512 - 1;
  ASSERT_LT((sector + 1) * 512, frames.back().begin + 512);
  std::fill_n(content.begin() + static_cast<ptrdiff_t>((sector - 1) * 512), 512, '\0');
  content += std::string(3000, '\0');
  EXPECT_EQ(OpenFiles(files).status.code(), absl::StatusCode::kDataLoss);
}

TEST(JournalTail, ATornOrRoomyEndIsDamageInAllSegmentsButTheLast) {
  const Files good = FilesOf(18);
  const std::string name = SegmentsOf(good).front();
  Files bad = good;
  bad[name] += std::string(600, '\0');
  EXPECT_EQ(OpenFiles(bad).status.code(), absl::StatusCode::kDataLoss);
  bad = good;
  bad[name].resize(bad[name].size() - 5);
  EXPECT_EQ(OpenFiles(bad).status.code(), absl::StatusCode::kDataLoss);
}

TEST(JournalTail, AFlippedBitIsNoticedWithRoomBehindTheLastRecordToo) {
  std::vector<size_t> places;
  const std::string whole = FlushesOf(1, 4, places) + std::string(3000, '\0');
  for (size_t at = 0; at < places[1]; ++at) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    ASSERT_FALSE(OpenContent(bad).status.ok()) << at;
  }
}

}  // namespace
}  // namespace auspex::keyd
