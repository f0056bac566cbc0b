// SPDX-License-Identifier: AGPL-3.0-only
// No signature without its durable record (promise P4): the disk fails at its N-th write or flush,
// for every N, and what had been released by then is looked up in what a crash would have left.
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "common/crypto/sha256.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

// Make, write, flush, rename, flush the folder: the first segment.
constexpr int kToBegin = 5;

std::set<std::string> DigestsIn(const MemoryJournalFolder::Files& files) {
  std::set<std::string> digests;
  auto journal = Journal::Open(std::make_unique<MemoryJournalFolder>(files), {}, 0,
                               [&](const JournalRecord& record) {
                                 if (record.outcome != Outcome::kSigned) return;
                                 digests.emplace(AsText(record.digest));
                               });
  EXPECT_TRUE(journal.ok()) << journal.status();
  return digests;
}

// Signs results until the disk fails; returns the digests of what was released.
std::set<std::string> SignUntilFailure(Rig& rig, int attempts, int& unavailable) {
  std::set<std::string> released;
  for (int i = 0; i < attempts; ++i) {
    UntrustedResult result = GoodResult();
    result.exit_code = i % 200;
    result.assignment_id = "asg-" + std::to_string(i);
    result.unit_id = "u-" + std::to_string(i);
    const auto answer = rig.boundary.SignResult(kRunnerd, result);
    if (answer.ok()) {
      released.insert(answer->sha256);
    } else {
      EXPECT_EQ(answer.status().code(), absl::StatusCode::kUnavailable) << answer.status();
      ++unavailable;
    }
  }
  return released;
}

class JournalFault : public ::testing::TestWithParam<bool> {};

TEST_P(JournalFault, NothingIsReleasedWithoutADurableRecord) {
  constexpr int kAttempts = 6;  // each one write and one flush
  for (int fail_at = 1; fail_at <= 2 * kAttempts; ++fail_at) {
    auto disk = std::make_shared<FaultyDisk>();
    disk->fail_at = kToBegin + fail_at;
    disk->short_write = GetParam();
    Rig rig(SomeEnrolment(), kSomeSeed, std::make_unique<FaultyFolder>(disk));
    int unavailable = 0;
    const std::set<std::string> released = SignUntilFailure(rig, kAttempts, unavailable);
    // Out of order for good, though the disk failed only once.
    EXPECT_EQ(released.size(), static_cast<size_t>((fail_at - 1) / 2)) << fail_at;
    EXPECT_EQ(unavailable, kAttempts - (fail_at - 1) / 2) << fail_at;
    EXPECT_EQ(rig.recorder.signatures(), released.size());
    // What a crash leaves has every released signature, and opens again; so does what a mere
    // restart finds.
    EXPECT_EQ(DigestsIn(disk->Durable()), released) << fail_at;
    const std::set<std::string> found = DigestsIn(disk->Written());
    EXPECT_TRUE(std::includes(found.begin(), found.end(), released.begin(), released.end()));
  }
}

// As keyd does it: calls begin together, their records go to the disk, more calls begin meanwhile.
TEST_P(JournalFault, AGroupThatWasPushedIsReleasedWholeOrNotAtAll) {
  for (int fail_at = 1; fail_at <= 8; ++fail_at) {
    auto disk = std::make_shared<FaultyDisk>();
    disk->fail_at = kToBegin + fail_at;
    disk->short_write = GetParam();
    Rig rig(SomeEnrolment(), kSomeSeed, std::make_unique<FaultyFolder>(disk));
    std::set<std::string> released;
    std::vector<SigningBoundary::Pending> begun;
    const auto begin = [&](int number) {
      const UntrustedRawText raw{"u-1", "asg-1", Sha256(std::to_string(number))};
      if (auto pending = rig.boundary.Begin(kRunnerd, raw); pending.ok()) {
        begun.push_back(*std::move(pending));
      }
    };
    for (int round = 0; round < 4; ++round) {
      begin(4 * round);
      begin(4 * round + 1);
      rig.journal->Push();
      begin(4 * round + 2);  // of the next group
      rig.journal->Push();   // changes nothing: a group is on its way
      const size_t held = begun.size() > 2 ? begun.size() - 1 : 0;
      for (size_t i = 0; i < held; ++i) {
        const auto answer = rig.boundary.Finish(begun[i]);
        if (answer.ok()) released.insert(answer->sha256);
      }
      begun.erase(begun.begin(), begun.begin() + static_cast<std::ptrdiff_t>(held));
    }
    const std::set<std::string> durable = DigestsIn(disk->Durable());
    EXPECT_EQ(released, durable) << fail_at;
    EXPECT_EQ(rig.recorder.signatures(), released.size());
  }
}

TEST_P(JournalFault, UnderConcurrencyToo) {
  for (const int fail_at : {1, 2, 5, 8, 13, 20}) {
    auto disk = std::make_shared<FaultyDisk>();
    disk->fail_at = kToBegin + fail_at;
    disk->short_write = GetParam();
    Rig rig(SomeEnrolment(), kSomeSeed, std::make_unique<FaultyFolder>(disk));
    std::mutex mutex;
    std::set<std::string> released;
    std::vector<std::thread> threads;
    for (int t = 0; t < 6; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 20; ++i) {
          UntrustedRawText raw{"u-1", "asg-1", Sha256(std::to_string(t * 100 + i))};
          const auto begun = rig.boundary.Begin(kRunnerd, raw);
          if (!begun.ok()) continue;
          if (t % 2 == 0) rig.journal->Push();
          const auto answer = rig.boundary.Finish(*begun);
          if (!answer.ok()) continue;
          std::lock_guard lock(mutex);
          released.insert(answer->sha256);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_LT(released.size(), 120u) << fail_at;
    const std::set<std::string> durable = DigestsIn(disk->Durable());
    EXPECT_TRUE(std::includes(durable.begin(), durable.end(), released.begin(), released.end()))
        << fail_at;
  }
}

// A thread may push what only others wait for: none of them waits for ever.
TEST(JournalPush, OfOthersRecordsLeavesNobodyWaiting) {
  Rig rig;
  std::atomic<bool> done{false};
  std::thread pusher([&] {
    while (!done) rig.journal->Push();
  });
  JournalEntry entry;
  entry.outcome = Outcome::kSigned;
  for (int i = 0; i < 30'000; ++i) {
    const auto ticket = rig.journal->Submit(entry);
    ASSERT_TRUE(ticket.ok());
    ASSERT_TRUE(rig.journal->Wait(*ticket).ok());
  }
  done = true;
  pusher.join();
  EXPECT_EQ(rig.journal->head().records, 30'000u);
}

INSTANTIATE_TEST_SUITE_P(Writes, JournalFault, ::testing::Values(false, true),
                         [](const auto& half) { return half.param ? "Half" : "None"; });

TEST(JournalFaultRefusal, ARefusalThatCannotBeRecordedIsUnavailableToo) {
  auto disk = std::make_shared<FaultyDisk>();
  disk->fail_at = kToBegin + 1;
  Rig rig(SomeEnrolment(), kSomeSeed, std::make_unique<FaultyFolder>(disk));
  UntrustedRequest bad = GoodRequest(Intent::kRefuse);
  bad.unit_id = "a/b";
  EXPECT_EQ(rig.boundary.SignRequest(kNetd, bad).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(rig.boundary.SignRequest(kNetd, GoodRequest(Intent::kPoll)).status().code(),
            absl::StatusCode::kUnavailable);
}

// The submission that was claimed but never recorded does not count after a restart: nothing was
// released for it.
TEST(JournalFaultRefusal, AFailedClaimIsForgottenByARestart) {
  auto disk = std::make_shared<FaultyDisk>();
  disk->fail_at = kToBegin + 2;
  {
    Rig rig(SomeEnrolment(), kSomeSeed, std::make_unique<FaultyFolder>(disk));
    EXPECT_FALSE(rig.boundary.SignRequest(kNetd, GoodRequest(Intent::kSubmitResult)).ok());
  }
  disk->Restart(disk->Durable());
  Rig again(SomeEnrolment(), kSomeSeed, std::make_unique<FaultyFolder>(disk));
  UntrustedRequest other = GoodRequest(Intent::kSubmitResult);
  other.body_sha256 = Sha256("another body");
  EXPECT_TRUE(again.boundary.SignRequest(kNetd, other).ok());
}

}  // namespace
}  // namespace auspex::keyd
