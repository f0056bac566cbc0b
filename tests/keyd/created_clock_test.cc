// SPDX-License-Identifier: AGPL-3.0-only
// `created` (promise P2): keyd's own clock, never behind the last request of the enrolment, in the
// journal's order and across restarts; a clock that was ahead does not end the key's life.
#include "keyd/created_clock.h"

#include <gtest/gtest.h>

#include <thread>

#include "common/base/cat.h"
#include "common/crypto/sha256.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

constexpr int64_t kThen = 2'000'000'000;

absl::StatusOr<SignedHttp> Poll(Rig& rig) {
  return rig.boundary.SignRequest(kNetd, GoodRequest(Intent::kPoll));
}

// The `created` of the last signed record.
int64_t LastCreated(const Rig& rig) {
  int64_t last = 0;
  for (const JournalRecord& record : rig.Records()) {
    if (record.outcome == Outcome::kSigned) last = record.created;
  }
  return last;
}

TEST(Created, ASmallStepBackIsBridgedByTheLastValue) {
  Rig rig;
  rig.clock.SetSeconds(kThen);
  ASSERT_TRUE(Poll(rig).ok());
  for (const int behind : {1, 5, 3}) {
    rig.clock.SetSeconds(kThen - behind);
    const auto answer = Poll(rig);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_NE(answer->signature_input.find(Cat(";created=", kThen, ";")), std::string::npos);
    EXPECT_EQ(LastCreated(rig), kThen);
  }
  rig.clock.SetSeconds(kThen + 1);
  ASSERT_TRUE(Poll(rig).ok());
  EXPECT_EQ(LastCreated(rig), kThen + 1);
}

TEST(Created, ALargerStepBackIsRefusedUntilTheClockHasCaughtUp) {
  Rig rig;
  rig.clock.SetSeconds(kThen);
  ASSERT_TRUE(Poll(rig).ok());
  rig.clock.SetSeconds(kThen - 6);
  const absl::Status status = Poll(rig).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  const std::string text(status.message());
  EXPECT_NE(text.find("is 6 s behind"), std::string::npos) << text;
  EXPECT_NE(text.find("auspex bootstrap"), std::string::npos) << text;
  EXPECT_EQ(rig.Records().back().outcome, Outcome::kRefused);
  EXPECT_EQ(rig.Records().back().cause.rfind("clock:", 0), 0u);
  // Results carry no `created`: work goes on.
  EXPECT_TRUE(rig.boundary.SignResult(kRunnerd, GoodResult()).ok());
  rig.clock.SetSeconds(kThen - 5);
  EXPECT_TRUE(Poll(rig).ok());
}

TEST(Created, ARefusedRequestLeavesNoTrace) {
  Rig rig;
  rig.clock.SetSeconds(kThen + 1'000'000);
  UntrustedRequest bad = GoodRequest(Intent::kFetchReceipt);
  bad.result_id = "../x";
  EXPECT_FALSE(rig.boundary.SignRequest(kNetd, bad).ok());
  EXPECT_FALSE(rig.boundary.SignRequest(kNetd, GoodRequest(Intent::kRetire)).ok());  // no grant
  rig.clock.SetSeconds(kThen);
  EXPECT_TRUE(Poll(rig).ok()) << "nothing was signed while the clock was ahead";
}

TEST(Created, IsRememberedAcrossRestarts) {
  auto disk = std::make_shared<FaultyDisk>();
  {
    Rig rig(SomeEnrolment(), kSomeSeed, std::make_unique<FaultyFolder>(disk));
    rig.clock.SetSeconds(kThen);
    ASSERT_TRUE(Poll(rig).ok());
    ASSERT_TRUE(rig.boundary.SignResult(kRunnerd, GoodResult()).ok());
  }
  Rig rig(SomeEnrolment(), kSomeSeed, std::make_unique<FaultyFolder>(disk));
  rig.clock.SetSeconds(kThen - 6);
  EXPECT_EQ(Poll(rig).status().code(), absl::StatusCode::kFailedPrecondition);
  rig.clock.SetSeconds(kThen - 2);
  ASSERT_TRUE(Poll(rig).ok());
  EXPECT_EQ(LastCreated(rig), kThen);
}

TEST(Created, TheOwnerConfirmsAClockThatWasAhead) {
  auto disk = std::make_shared<FaultyDisk>();
  constexpr int64_t kFarAhead = kThen + 10 * 365 * 86'400LL;
  const std::string url = SomeEnrolment().base_url.str();
  {
    Rig rig(SomeEnrolment(), kSomeSeed, std::make_unique<FaultyFolder>(disk));
    rig.clock.SetSeconds(kFarAhead);
    ASSERT_TRUE(Poll(rig).ok());
    rig.clock.SetSeconds(kThen);
    EXPECT_FALSE(Poll(rig).ok());
    // A refused pin changes nothing.
    EXPECT_FALSE(rig.custody.SetEnrolment(kOwner, url, "../x").ok());
    EXPECT_FALSE(Poll(rig).ok());
    ASSERT_TRUE(rig.custody.SetEnrolment(kOwner, url, kSomeWorker).ok());
    ASSERT_TRUE(Poll(rig).ok());
    EXPECT_EQ(LastCreated(rig), kThen);
    rig.clock.SetSeconds(kThen - 100);
    EXPECT_FALSE(Poll(rig).ok()) << "from there on as before";
  }
  Rig rig(SomeEnrolment(), kSomeSeed, std::make_unique<FaultyFolder>(disk));
  rig.clock.SetSeconds(kThen + 1);
  EXPECT_TRUE(Poll(rig).ok()) << "the confirmation is remembered too";
  rig.clock.SetSeconds(kThen - 100);
  EXPECT_FALSE(Poll(rig).ok());
}

// The clock moves on and to and fro while many threads have requests signed: in the journal,
// `created` never decreases.
TEST(Created, NeverDecreasesInTheJournalUnderConcurrency) {
  Rig rig;
  rig.clock.SetSeconds(kThen);
  std::atomic<int> left{6};
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 400; ++i) EXPECT_TRUE(Poll(rig).ok());
      --left;
    });
  }
  for (int64_t step = 0; left > 0; ++step) {
    rig.clock.SetSeconds(kThen + step - 3 * (step % 2));
    if (step % 8 == 0) std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  int64_t last = 0;
  size_t polls = 0;
  for (const JournalRecord& record : rig.Records()) {
    ASSERT_EQ(record.outcome, Outcome::kSigned);
    EXPECT_GE(record.created, last) << "at record " << record.sequence;
    last = record.created;
    ++polls;
  }
  EXPECT_EQ(polls, 2400u);
  EXPECT_GT(last, kThen - 3);
}

TEST(Created, APinWaitsForRequestsUnderWayAndTheyForIt) {
  Rig rig;
  const std::string url = SomeEnrolment().base_url.str();
  std::atomic<bool> stop{false};
  std::thread pinning([&] {
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(rig.custody.SetEnrolment(kOwner, url, kSomeWorker).ok());
    }
    stop = true;
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        const absl::Status status = Poll(rig).status();
        // FAILED_PRECONDITION: the enrolment changed between the check and the signature.
        EXPECT_TRUE(status.ok() || absl::IsFailedPrecondition(status) ||
                    absl::IsResourceExhausted(status))
            << status;
      }
    });
  }
  pinning.join();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace auspex::keyd
