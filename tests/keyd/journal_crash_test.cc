// SPDX-License-Identifier: AGPL-3.0-only
// The journal over the end of its process, or of the machine, after each call to the file system,
// and over an error of each: appends, checkpoints, the making of segments and the mending at the
// next start (promises P4 and P7).
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/keyd/journal_rig.h"

namespace auspex::keyd {
namespace {

constexpr int kRecords = 14;

struct Life {
  bool opened = false;
  std::vector<std::string> acknowledged;  // subjects
  std::string note;                       // the newest that was handed out
  int refused = 0;
  int failures_told = 0;
  bool failed = false;  // a call of the disk did, after the opening and before the end
};

// Opens what `disk` holds, appends `kRecords` with their upkeep, and ends.
Life Live(const std::shared_ptr<FaultyDisk>& disk, int first_number) {
  Life life;
  auto journal =
      Journal::Open(std::make_unique<FaultyFolder>(disk), kSmall, 0, [](const JournalRecord&) {});
  if (!journal.ok()) return life;
  life.opened = true;
  const int before = disk->operations;
  (*journal)->OnFailure([&] { ++life.failures_told; });
  KeptJournal kept(*std::move(journal));
  for (int i = 0; i < kRecords; ++i) {
    if (kept.Append(first_number + i) == 0) {
      ++life.refused;
      continue;
    }
    life.acknowledged.push_back(EntryOf(first_number + i).subject);
    // Nothing works again after a failure.
    EXPECT_EQ(life.refused, 0);
  }
  if (const auto checkpoint = kept.checkpointer.Sign(kOwner); checkpoint.ok()) {
    life.note = checkpoint->note;
  }
  life.failed = disk->fail_at > before && disk->operations >= disk->fail_at;
  return life;
}

void ExpectHolds(const Files& files, const Life& life, const std::string& what) {
  const Opened opened = OpenFiles(files);
  ASSERT_TRUE(opened.status.ok()) << what << ": " << opened.status;
  for (const std::string& subject : life.acknowledged) {
    EXPECT_TRUE(std::any_of(opened.records.begin(), opened.records.end(),
                            [&](const JournalRecord& r) { return r.subject == subject; }))
        << what << ": lost " << subject;
  }
  if (!life.note.empty()) {
    EXPECT_EQ(opened.files.at("checkpoint"), life.note) << what;
  }
  // What was mended stays mended.
  EXPECT_EQ(OpenFiles(opened.files).files, opened.files) << what;
}

int OperationsOfALife() {
  auto disk = std::make_shared<FaultyDisk>();
  EXPECT_EQ(Live(disk, 1).acknowledged.size(), static_cast<size_t>(kRecords));
  EXPECT_GE(SegmentsOf(disk->Written()).size(), 3u);
  return disk->operations;
}

TEST(JournalCrash, AfterEveryCallNothingThatWasAcknowledgedIsLost) {
  const int operations = OperationsOfALife();
  ASSERT_GE(operations, 60);
  for (int at = 1; at <= operations; ++at) {
    auto disk = std::make_shared<FaultyDisk>();
    disk->crash_at = at;
    const Life life = Live(disk, 1);
    ExpectHolds(disk->Written(), life, "process, call " + std::to_string(at));
    ExpectHolds(disk->Durable(), life, "power, call " + std::to_string(at));
  }
}

// The next life begins in what the crash left, and is itself cut short, at each of its first calls.
TEST(JournalCrash, TheMendingItselfMayBeCutShort) {
  const int operations = OperationsOfALife();
  for (int at = 1; at <= operations; ++at) {
    auto first = std::make_shared<FaultyDisk>();
    first->crash_at = at;
    Life life = Live(first, 1);
    for (const Files& left : {first->Written(), first->Durable()}) {
      for (int again = 1; again <= 6; ++again) {
        auto second = std::make_shared<FaultyDisk>();
        second->Restart(left);
        second->crash_at = again;
        Life both = Live(second, 100);
        both.acknowledged.insert(both.acknowledged.end(), life.acknowledged.begin(),
                                 life.acknowledged.end());
        const std::string what = std::to_string(at) + " then " + std::to_string(again);
        ExpectHolds(second->Written(), both, "process, calls " + what);
        ExpectHolds(second->Durable(), both, "power, calls " + what);
      }
    }
  }
}

class JournalError : public ::testing::TestWithParam<bool> {};

TEST_P(JournalError, OfAnyCallEndsTheJournalAndLosesNothing) {
  const int operations = OperationsOfALife();
  for (int at = 1; at <= operations; ++at) {
    auto disk = std::make_shared<FaultyDisk>();
    disk->fail_at = at;
    disk->short_write = GetParam();
    const Life life = Live(disk, 1);
    EXPECT_EQ(life.failures_told, life.failed ? 1 : 0) << at;
    if (life.failed) {
      EXPECT_TRUE(life.note.empty()) << at;
    }
    ExpectHolds(disk->Written(), life, "written, call " + std::to_string(at));
    ExpectHolds(disk->Durable(), life, "durable, call " + std::to_string(at));
  }
}

INSTANTIATE_TEST_SUITE_P(Writes, JournalError, ::testing::Values(false, true),
                         [](const auto& half) { return half.param ? "Half" : "None"; });

}  // namespace
}  // namespace auspex::keyd
