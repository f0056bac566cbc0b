// SPDX-License-Identifier: AGPL-3.0-only
// The journal's format and chain: what was appended is read back, and any change of the file is
// noticed (promise P4).
#include "keyd/journal.h"

#include <gtest/gtest.h>

#include <thread>

#include "common/base/cat.h"
#include "common/crypto/sha256.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

JournalEntry EntryOf(int number) {
  JournalEntry entry;
  entry.caller = {Role::kRequest, 4000u + static_cast<uint32_t>(number), 0};
  entry.intent = Intent::kSubmitResult;
  entry.outcome = Outcome::kSigned;
  entry.time_micros = 1'716'000'000'000'000 + number;
  entry.created = 1'716'000'000 + number;
  entry.digest = ToDigest(Sha256(Cat("signed ", number)));
  entry.bound = ToDigest(Sha256(Cat("body ", number)));
  entry.subject = Cat("asg-", number);
  entry.unit = Cat("u-", number);
  return entry;
}

std::string JournalOf(int records) {
  auto file = std::make_unique<MemoryJournalFile>(MakeJournalHeader(7));
  MemoryJournalFile* raw = file.get();
  auto journal = Journal::Open(std::move(file), [](const JournalRecord&) {});
  EXPECT_TRUE(journal.ok());
  for (int i = 1; i <= records; ++i) EXPECT_TRUE((*journal)->Append(EntryOf(i)).ok());
  return raw->content();
}

struct Opened {
  absl::Status status;
  std::vector<JournalRecord> records;
  uint64_t torn = 0;
};

Opened OpenContent(const std::string& content) {
  Opened out;
  auto journal = Journal::Open(std::make_unique<MemoryJournalFile>(content),
                               [&](const JournalRecord& r) { out.records.push_back(r); });
  out.status = journal.status();
  if (journal.ok()) out.torn = (*journal)->torn_octets();
  return out;
}

TEST(Journal, ReadsBackWhatWasAppended) {
  const Opened opened = OpenContent(JournalOf(3));
  ASSERT_TRUE(opened.status.ok()) << opened.status;
  ASSERT_EQ(opened.records.size(), 3u);
  EXPECT_EQ(opened.torn, 0u);
  for (int i = 1; i <= 3; ++i) {
    const JournalRecord& record = opened.records[static_cast<size_t>(i - 1)];
    const JournalEntry wanted = EntryOf(i);
    EXPECT_EQ(record.sequence, static_cast<uint64_t>(i));
    EXPECT_EQ(record.caller.role, wanted.caller.role);
    EXPECT_EQ(record.caller.pid, wanted.caller.pid);
    EXPECT_EQ(record.intent, wanted.intent);
    EXPECT_EQ(record.outcome, wanted.outcome);
    EXPECT_EQ(record.time_micros, wanted.time_micros);
    EXPECT_EQ(record.created, wanted.created);
    EXPECT_EQ(record.digest, wanted.digest);
    EXPECT_EQ(record.bound, wanted.bound);
    EXPECT_EQ(record.subject, wanted.subject);
    EXPECT_EQ(record.unit, wanted.unit);
  }
}

// docs/formats/journal.md, rebuilt here with nothing of the encoder.
TEST(Journal, TheChainIsSha256OverThePreviousValueAndTheBody) {
  const std::string content = JournalOf(2);
  std::string chain = Sha256(content.substr(0, 48));
  size_t offset = 48;
  for (int i = 0; i < 2; ++i) {
    const size_t low = static_cast<uint8_t>(content[offset]) |
                       static_cast<size_t>(static_cast<uint8_t>(content[offset + 1])) << 8;
    const size_t high = static_cast<uint8_t>(content[offset + 2]) |
                        static_cast<size_t>(static_cast<uint8_t>(content[offset + 3])) << 8;
    EXPECT_EQ(low ^ high, 0xffffu);
    EXPECT_EQ(low & 0x8000, 0x8000u) << "each record was flushed alone";
    const size_t length = low & 0x7fff;
    chain = Sha256(chain + content.substr(offset + 4, length));
    EXPECT_EQ(content.substr(offset + 4 + length, 32), chain);
    offset += 4 + length + 32;
  }
  EXPECT_EQ(offset, content.size());
}

TEST(Journal, EveryFlippedBitPatternInAnyOctetIsNoticed) {
  const std::string good = JournalOf(3);
  for (size_t at = 0; at < good.size(); ++at) {
    for (const int mask : {0x01, 0x80, 0xff}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ mask);
      const Opened opened = OpenContent(bad);
      ASSERT_FALSE(opened.status.ok()) << "octet " << at << " mask " << mask;
      ASSERT_NE(opened.status.message().find("offset"), absl::string_view::npos) << opened.status;
    }
  }
}

TEST(Journal, TruncationKeepsWholeRecordsAndCutsTheTornOne) {
  const std::string good = JournalOf(3);
  std::vector<size_t> ends = {kJournalHeaderOctets};
  for (const JournalRecord& record : OpenContent(good).records) {
    ends.push_back(ends.back() + 4 + EncodeRecordBody(record, record.sequence).size() + 32);
  }
  ASSERT_EQ(ends.back(), good.size());
  for (size_t size = 0; size <= good.size(); ++size) {
    const Opened opened = OpenContent(good.substr(0, size));
    if (size < kJournalHeaderOctets) {
      EXPECT_FALSE(opened.status.ok()) << size;
      continue;
    }
    ASSERT_TRUE(opened.status.ok()) << size << ": " << opened.status;
    const auto whole =
        static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), size) - ends.begin() - 1);
    EXPECT_EQ(opened.records.size(), whole) << size;
    EXPECT_EQ(opened.torn, size - ends[whole]) << size;
  }
}

TEST(Journal, AppendsAfterACutTailGoOnWithTheChain) {
  const std::string good = JournalOf(2);
  auto file = std::make_unique<MemoryJournalFile>(good.substr(0, good.size() - 5));
  MemoryJournalFile* raw = file.get();
  auto journal = Journal::Open(std::move(file), [](const JournalRecord&) {});
  ASSERT_TRUE(journal.ok());
  ASSERT_TRUE((*journal)->Append(EntryOf(9)).ok());
  const Opened opened = OpenContent(raw->content());
  ASSERT_TRUE(opened.status.ok()) << opened.status;
  ASSERT_EQ(opened.records.size(), 2u);
  EXPECT_EQ(opened.records[1].subject, "asg-9");
  EXPECT_EQ(opened.records[1].sequence, 2u);
}

// The journal sets room aside for records to come, and a file system may keep a file's new size but
// not its octets when the power fails.
TEST(Journal, ZeroOctetsBehindTheLastRecordAreRoom) {
  const std::string good = JournalOf(2);
  auto file = std::make_unique<MemoryJournalFile>(good + std::string(100'000, '\0'));
  const MemoryJournalFile* raw = file.get();
  auto journal = Journal::Open(std::move(file), [](const JournalRecord&) {});
  ASSERT_TRUE(journal.ok()) << journal.status();
  EXPECT_EQ((*journal)->head().records, 2u);
  EXPECT_EQ((*journal)->torn_octets(), 0u);
  ASSERT_TRUE((*journal)->Append(EntryOf(3)).ok());
  EXPECT_EQ(OpenContent(raw->content()).records.size(), 3u);
  EXPECT_FALSE(OpenContent(good + std::string(1'000'000, '\0') + "x").status.ok());
}

// `groups` flushes of `each` records, encoded here by hand; the places where the flushes begin and
// the last ends. The first record's cause is `shift` octets long, so that all records can be moved
// against the sectors.
std::string FlushesOf(int groups, int each, std::vector<size_t>& places, size_t shift = 0) {
  std::string content = MakeJournalHeader(7);
  Digest32 chain = ToDigest(Sha256(content));
  places.clear();
  for (int g = 0; g < groups; ++g) {
    places.push_back(content.size());
    for (int i = 0; i < each; ++i) {
      JournalEntry entry = EntryOf(g * each + i);
      if (places.size() == 1 && i == 0) entry.cause = std::string(shift, 'c');
      const std::string body = EncodeRecordBody(entry, static_cast<uint64_t>(g * each + i + 1));
      AppendLe(content, LengthWord(body.size(), i == 0), 4);
      chain = ChainAfter(chain, body);
      content += body + std::string(AsText(chain));
    }
  }
  places.push_back(content.size());
  return content;
}

// A loss of power leaves any choice of the sectors of the flush that was under way, and all of the
// flushes before it.
TEST(Journal, AnySectorsOfTheLastFlushMayBeMissing) {
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
      if (content == whole) continue;  // the last octet of a chain is zero by chance
      const Opened opened = OpenContent(content);
      ASSERT_TRUE(opened.status.ok()) << shift << " " << missing << ": " << opened.status;
      ASSERT_GE(opened.records.size(), 14u) << shift << " " << missing;
      ASSERT_LT(opened.records.size(), 21u) << shift << " " << missing;
    }
  }
}

// What was durable before the last flush began does not go missing by a crash: that is damage.
TEST(Journal, AMissingSectorBeforeTheLastFlushIsDamage) {
  std::vector<size_t> places;
  const std::string whole = FlushesOf(3, 7, places) + std::string(3000, '\0');
  for (size_t sector = 1; (sector + 1) * 512 <= places[2]; ++sector) {
    std::string content = whole;
    std::fill_n(content.begin() + static_cast<ptrdiff_t>(sector * 512), 512, '\0');
    EXPECT_EQ(OpenContent(content).status.code(), absl::StatusCode::kDataLoss) << sector;
  }
}

TEST(Journal, AFlippedBitIsNoticedWithRoomBehindTheLastRecordToo) {
  std::vector<size_t> places;
  const std::string whole = FlushesOf(1, 4, places) + std::string(3000, '\0');
  for (size_t at = 0; at < places[1]; ++at) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    ASSERT_FALSE(OpenContent(bad).status.ok()) << at;
  }
}

TEST(Journal, DroppedAndReorderedRecordsAreNoticed) {
  const std::string good = JournalOf(3);
  // All three bodies are equally long.
  const size_t size = (good.size() - kJournalHeaderOctets) / 3;
  const std::string header = good.substr(0, kJournalHeaderOctets);
  const auto record = [&](size_t i) { return good.substr(kJournalHeaderOctets + i * size, size); };
  EXPECT_TRUE(OpenContent(header + record(0) + record(1) + record(2)).status.ok());
  EXPECT_FALSE(OpenContent(header + record(1) + record(2)).status.ok());
  EXPECT_FALSE(OpenContent(header + record(0) + record(2)).status.ok());
  EXPECT_FALSE(OpenContent(header + record(1) + record(0) + record(2)).status.ok());
  EXPECT_FALSE(OpenContent(header + record(0) + record(0)).status.ok());
  // A record of another journal does not fit either: the chain begins with the random header.
  EXPECT_FALSE(OpenContent(JournalOf(0) + record(0)).status.ok());
}

TEST(Journal, AJournalOfTheFutureIsRefusedByItsVersion) {
  std::string content = JournalOf(1);
  content[16] = 2;
  const absl::Status status = OpenContent(content).status;
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
}

TEST(Journal, ListsFromAnySequenceNumber) {
  Rig rig;
  for (int i = 1; i <= 2500; ++i) ASSERT_TRUE(rig.journal->Append(EntryOf(i)).ok());
  for (const uint64_t first : {0u, 1u, 2u, 1024u, 1025u, 1026u, 2048u, 2049u, 2500u, 2501u}) {
    std::vector<uint64_t> seen;
    ASSERT_TRUE(rig.journal
                    ->List(first, 3,
                           [&](const JournalRecord& r) {
                             seen.push_back(r.sequence);
                             return true;
                           })
                    .ok());
    std::vector<uint64_t> wanted;
    for (uint64_t s = std::max<uint64_t>(first, 1); s <= 2500 && wanted.size() < 3; ++s) {
      wanted.push_back(s);
    }
    EXPECT_EQ(seen, wanted) << first;
  }
}

TEST(Journal, ManyThreadsShareFlushesAndLoseNothing) {
  auto disk = std::make_shared<FaultyFile::Disk>();
  disk->durable = MakeJournalHeader(0);
  auto journal = Journal::Open(std::make_unique<FaultyFile>(disk), [](const JournalRecord&) {});
  ASSERT_TRUE(journal.ok());
  constexpr int kThreads = 8, kEach = 200;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const auto proof = (*journal)->Append(EntryOf(t * kEach + i));
        ASSERT_TRUE(proof.ok());
        ASSERT_EQ(proof->digest(), EntryOf(t * kEach + i).digest);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Opened opened = OpenContent(disk->durable);
  ASSERT_TRUE(opened.status.ok()) << opened.status;
  EXPECT_EQ(opened.records.size(), static_cast<size_t>(kThreads * kEach));
}

TEST(Journal, TextsOfARecordAreCutNotOverrun) {
  JournalEntry entry = EntryOf(1);
  entry.subject = std::string(1000, 's');
  entry.cause = std::string(300, 'c');
  const std::string body = EncodeRecordBody(entry, 1);
  const auto decoded = DecodeRecordBody(body);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->subject.size(), kMaxRecordText);
  EXPECT_EQ(decoded->cause.size(), kMaxRecordText);
  EXPECT_EQ(EncodeRecordBody(*decoded, 1), body);
  for (size_t size = 0; size < body.size(); ++size) {
    EXPECT_FALSE(DecodeRecordBody(std::string_view(body).substr(0, size)).has_value()) << size;
  }
  EXPECT_FALSE(DecodeRecordBody(body + "x").has_value());
}

}  // namespace
}  // namespace auspex::keyd
