// SPDX-License-Identifier: AGPL-3.0-only
// The journal's format, held against docs/formats/journal.md: what was appended is read back, in
// segments that carry one tree on (promise P4).
#include "keyd/journal.h"

#include <gtest/gtest.h>

#include <thread>

#include "common/base/encoding.h"
#include "common/crypto/sha256.h"
#include "tests/keyd/journal_rig.h"

namespace auspex::keyd {
namespace {

TEST(Journal, ReadsBackWhatWasAppended) {
  const Opened opened = OpenFiles(FilesOf(3, JournalOptions{}));
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

// RFC 6962, section 2.1, as it is written there.
std::string TreeHash(const std::vector<std::string>& leaves, size_t begin, size_t end) {
  if (begin == end) return Sha256("");
  if (end - begin == 1) return Sha256(std::string(1, '\0') + leaves[begin]);
  size_t half = 1;
  while (half * 2 < end - begin) half *= 2;
  return Sha256("\x01" + TreeHash(leaves, begin, begin + half) +
                TreeHash(leaves, begin + half, end));
}

std::string Lines(size_t size, const std::string& root) {
  return "\n" + std::to_string(size) + "\n" + Base64Encode(root) + "\n";
}

// Everything that the format's page says, rebuilt here with nothing of the encoder.
TEST(Journal, SegmentsChecksAndCheckpointsAreAsDocumented) {
  const Files files = FilesOf(25);
  const std::vector<std::string> names = SegmentsOf(files);
  ASSERT_GE(names.size(), 3u);
  std::vector<std::string> leaves;
  std::string note, id;
  size_t checkpoints = 0, announced = 0;
  for (const std::string& name : names) {
    const std::string& segment = files.at(name);
    const std::string number = std::to_string(leaves.size() + 1);
    EXPECT_EQ(name, std::string(20 - number.size(), '0') + number + ".log");
    EXPECT_EQ(segment.substr(0, 20), std::string("auspex journal\r\n\x02\0\0\0", 20));
    if (id.empty()) id = segment.substr(24, 16);
    EXPECT_EQ(segment.substr(24, 16), id);
    size_t count = 0;
    for (size_t i = 8; i-- > 0;) count = count << 8 | static_cast<uint8_t>(segment[48 + i]);
    ASSERT_EQ(count, leaves.size());
    size_t at = 56, covered = 0;
    for (size_t bit = size_t{1} << 40; bit > 0; bit >>= 1) {
      if ((count & bit) == 0) continue;
      EXPECT_EQ(segment.substr(at, 32), TreeHash(leaves, covered, covered + bit));
      covered += bit;
      at += 32;
    }
    EXPECT_EQ(static_cast<uint8_t>(segment[at]) + 256u * static_cast<uint8_t>(segment[at + 1]),
              note.size());
    EXPECT_EQ(segment.substr(at + 2, note.size()), note);
    at += 2 + note.size();
    EXPECT_EQ(segment.substr(at, 32), Sha256(segment.substr(0, at)));
    EXPECT_EQ(HeaderOctets(segment), at + 32);
    for (const RawFrame& frame : FramesOf(segment)) {
      const std::string check = segment.substr(frame.end - 32, 32);
      if (frame.is_record()) {
        EXPECT_EQ(check, Sha256(std::string(1, '\0') + frame.body));
        if (frame.body[2] == 48) {
          announced = leaves.size();
          EXPECT_EQ(frame.body.substr(36, 32),
                    Sha256("auspex.journal/" + HexEncode(id) +
                           Lines(announced, TreeHash(leaves, 0, announced))));
          EXPECT_EQ(frame.body.substr(68, 32), note.empty() ? std::string(32, '\0') : Sha256(note));
        }
        leaves.push_back(frame.body);
        continue;
      }
      ++checkpoints;
      EXPECT_EQ(frame.body[0], 2);
      EXPECT_EQ(check, Sha256(frame.body));
      note = frame.body.substr(1);
      EXPECT_NE(note.find(Lines(announced, TreeHash(leaves, 0, announced)) + "\n"),
                std::string::npos);
    }
  }
  EXPECT_GE(checkpoints, 5u);
  EXPECT_EQ(files.at("checkpoint"), note);
  EXPECT_EQ(OpenFiles(files).records.size(), leaves.size());
}

TEST(Journal, AJournalOfTheFutureIsRefusedByItsVersion) {
  Files files = FilesOf(1);
  files.begin()->second[16] = 3;
  const absl::Status status = OpenFiles(files).status;
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
}

TEST(Journal, ASegmentIsCheckedWithoutTheOnesBefore) {
  const Files files = FilesOf(25);
  const std::string name = SegmentsOf(files).back();
  const MemoryJournalSource source(files.at(name));
  JournalState state;
  const auto end = ReadSegment(source, name, true, state, {});
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(state.records(), OpenFiles(files).records.size());
  EXPECT_EQ(state.newest_note(), files.at("checkpoint"));
}

// Two segments of many records each, and a third.
TEST(Journal, ListsFromAnySequenceNumberAcrossSegments) {
  KeptJournal kept(*Journal::Open(std::make_unique<MemoryJournalFolder>(), {300'000, 100'000}, 0,
                                  [](const JournalRecord&) {}));
  for (int i = 1; i <= 4000; ++i) ASSERT_NE(kept.Append(i), 0u);
  const uint64_t total = kept.journal->head().records;
  ASSERT_GE(kept.journal->head().segments, 3u);
  for (uint64_t first = 0; first <= total + 1; first += first % 1024 < 3 ? 1 : 17) {
    std::vector<uint64_t> seen;
    ASSERT_TRUE(kept.journal
                    ->List(first, 3,
                           [&](const JournalRecord& r) {
                             seen.push_back(r.sequence);
                             return true;
                           })
                    .ok());
    std::vector<uint64_t> wanted;
    for (uint64_t s = std::max<uint64_t>(first, 1); s <= total && wanted.size() < 3; ++s) {
      wanted.push_back(s);
    }
    ASSERT_EQ(seen, wanted) << first;
  }
}

TEST(Journal, ManyThreadsShareFlushesAndLoseNothing) {
  auto disk = std::make_shared<FaultyDisk>();
  KeptJournal kept(*Journal::Open(std::make_unique<FaultyFolder>(disk), {20'000, 50}, 0,
                                  [](const JournalRecord&) {}));
  kept.checkpointer.Start();
  constexpr int kThreads = 8, kEach = 200;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const auto proof = kept.journal->Append(EntryOf(t * kEach + i));
        ASSERT_TRUE(proof.ok());
        ASSERT_EQ(proof->digest(), EntryOf(t * kEach + i).digest);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  kept.checkpointer.Stop();
  const Opened opened = OpenFiles(disk->Durable());
  ASSERT_TRUE(opened.status.ok()) << opened.status;
  EXPECT_EQ(std::count_if(opened.records.begin(), opened.records.end(),
                          [](const JournalRecord& r) { return r.intent == Intent::kSubmitResult; }),
            kThreads * kEach);
}

TEST(Journal, AWaitForMoreEndsWithARecordAndWhenWaitsAreEnded) {
  KeptJournal kept(
      *Journal::Open(std::make_unique<MemoryJournalFolder>(), {}, 0, [](const JournalRecord&) {}));
  const std::chrono::hours long_enough(1);
  ASSERT_EQ(kept.Append(1), 1u);
  EXPECT_TRUE(kept.journal->WaitForMore(0, long_enough));
  std::thread writer([&] { kept.Append(2); });
  EXPECT_TRUE(kept.journal->WaitForMore(1, long_enough));
  writer.join();
  std::thread ender([&] { kept.journal->EndWaits(); });
  EXPECT_FALSE(kept.journal->WaitForMore(2, long_enough));
  ender.join();
  EXPECT_FALSE(kept.journal->WaitUntilDue(long_enough).has_value());
}

// However few records there are: a checkpoint covers them after a while, and where nothing happens nothing is signed.
TEST(Journal, NoRecordWaitsLongForItsCheckpoint) {
  EXPECT_LE(kLongestUncovered, std::chrono::minutes(1)) << "THREATS.md says a minute";
  KeptJournal kept(
      *Journal::Open(std::make_unique<MemoryJournalFolder>(), {}, 0, [](const JournalRecord&) {}),
      std::chrono::milliseconds(20));
  const auto covered = [&kept] {
    const auto note = ParseNote(kept.journal->head().checkpoint);
    return note.ok() ? note->checkpoint.size : 0;
  };
  const auto wait_for = [&covered](uint64_t size) {
    for (int i = 0; i < 1000 && covered() != size; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return covered();
  };
  ASSERT_EQ(kept.Append(1), 1u);
  kept.checkpointer.Start();
  EXPECT_EQ(wait_for(1), 1u);
  ASSERT_NE(kept.Append(2), 0u);
  EXPECT_EQ(wait_for(3), 3u);  // the first checkpoint's own record is one of them
  const uint64_t records = kept.journal->head().records;
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(kept.journal->head().records, records) << "a checkpoint of checkpoints alone";
  kept.checkpointer.Stop();
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
