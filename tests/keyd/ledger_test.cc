// SPDX-License-Identifier: AGPL-3.0-only
// Two different submissions for one assignment are never both signed (promise P5), within a run and
// across restarts.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "common/crypto/sha256.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

UntrustedRequest Submission(const std::string& assignment, const std::string& body) {
  UntrustedRequest request = GoodRequest(Intent::kSubmitResult);
  request.assignment_id = assignment;
  request.body_sha256 = Sha256(body);
  return request;
}

TEST(Equivocation, TheSameSubmissionIsSignedAgainAnotherIsNot) {
  Rig rig;
  ASSERT_TRUE(rig.boundary.SignRequest(kNetd, Submission("asg-1", "one")).ok());
  EXPECT_TRUE(rig.boundary.SignRequest(kNetd, Submission("asg-1", "one")).ok());
  const absl::Status status = rig.boundary.SignRequest(kNetd, Submission("asg-1", "two")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(rig.Records().back().outcome, Outcome::kRefused);
  EXPECT_EQ(rig.Records().back().subject, "asg-1");
  EXPECT_TRUE(rig.boundary.SignRequest(kNetd, Submission("asg-1", "one")).ok());
  EXPECT_TRUE(rig.boundary.SignRequest(kNetd, Submission("asg-2", "two")).ok());
}

// The ledger's mark for "no submission yet" is a digest of zeros.
TEST(Equivocation, ADigestOfZerosIsNoWayAround) {
  Rig rig;
  UntrustedRequest zeros = Submission("asg-1", "one");
  zeros.body_sha256 = std::string(32, '\0');
  const bool first = rig.boundary.SignRequest(kNetd, zeros).ok();
  const bool second = rig.boundary.SignRequest(kNetd, Submission("asg-1", "two")).ok();
  EXPECT_FALSE(first && second);
  EXPECT_FALSE(rig.boundary.SignRequest(kNetd, zeros).ok());
}

TEST(Equivocation, AnotherUnitIdOrKeyIsNoWayAround) {
  Rig rig;
  ASSERT_TRUE(rig.boundary.SignRequest(kNetd, Submission("asg-1", "one")).ok());
  UntrustedRequest other = Submission("asg-1", "two");
  other.unit_id = "u-2";
  EXPECT_FALSE(rig.boundary.SignRequest(kNetd, other).ok());
}

TEST(Equivocation, IsRememberedAcrossRestarts) {
  auto disk = std::make_shared<FaultyDisk>();
  {
    Rig rig(SomeEnrolment(), kSomeSeed, std::make_unique<FaultyFolder>(disk));
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(
          rig.boundary.SignRequest(kNetd, Submission("asg-" + std::to_string(i), "one")).ok());
    }
  }
  // Even with another key: the promise is about the assignment.
  Rig rig(SomeEnrolment(), std::string(64, '7'), std::make_unique<FaultyFolder>(disk));
  for (int i = 0; i < 50; ++i) {
    const std::string assignment = "asg-" + std::to_string(i);
    EXPECT_FALSE(rig.boundary.SignRequest(kNetd, Submission(assignment, "two")).ok());
    EXPECT_TRUE(rig.boundary.SignRequest(kNetd, Submission(assignment, "one")).ok());
  }
}

TEST(Equivocation, AtMostOneOfManyConcurrentSubmissionsIsSigned) {
  Rig rig;
  std::atomic<int> signed_count{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const auto answer = rig.boundary.SignRequest(
            kNetd, Submission("asg-" + std::to_string(i), "body " + std::to_string(t)));
        if (answer.ok()) ++signed_count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(signed_count, 20);
}

TEST(Equivocation, AResultMayChangeUntilItsSubmissionWasSigned) {
  Rig rig;
  UntrustedResult first = GoodResult();
  UntrustedResult second = GoodResult();
  second.exit_code = 1;
  ASSERT_TRUE(rig.boundary.SignResult(kRunnerd, first).ok());
  ASSERT_TRUE(rig.boundary.SignResult(kRunnerd, second).ok());
  ASSERT_TRUE(rig.boundary.SignRequest(kNetd, Submission("asg-1", "with second")).ok());
  EXPECT_EQ(rig.boundary.SignResult(kRunnerd, first).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(rig.boundary.SignResult(kRunnerd, second).ok());
}

TEST(Equivocation, RefusalsAreNotBound) {
  Rig rig;
  UntrustedRequest refuse = GoodRequest(Intent::kRefuse);
  ASSERT_TRUE(rig.boundary.SignRequest(kNetd, refuse).ok());
  refuse.body_sha256 = Sha256("another reason");
  EXPECT_TRUE(rig.boundary.SignRequest(kNetd, refuse).ok());
  EXPECT_EQ(rig.ledger.size(), 0u);
}

// Two results and a submission at once. In the journal, which a later keyd reads the ledger from, no result that is new comes after the
// submission.
TEST(Equivocation, WhatIsClaimedFirstIsRecordedFirst) {
  for (int round = 0; round < 2000; ++round) {
    Rig rig;
    std::atomic<int> ready = 0;
    const auto together = [&ready] {
      ++ready;
      while (ready < 3) std::this_thread::yield();
    };
    std::vector<std::thread> threads;
    for (const int exit_code : {0, 1}) {
      threads.emplace_back([&, exit_code] {
        UntrustedResult result = GoodResult();
        result.exit_code = exit_code;
        together();
        (void)rig.boundary.SignResult(kRunnerd, result);
      });
    }
    threads.emplace_back([&] {
      const UntrustedRequest request = Submission(GoodResult().assignment_id, "a body");
      together();
      EXPECT_TRUE(rig.boundary.SignRequest(kNetd, request).ok());
    });
    for (std::thread& thread : threads) thread.join();
    bool submitted = false;
    // What a later keyd makes of the records.
    AssignmentLedger later;
    for (const JournalRecord& record : rig.Records()) {
      later.Replay(record);
      if (record.outcome != Outcome::kSigned) continue;
      if (record.intent == Intent::kSubmitResult) submitted = true;
      if (record.intent == Intent::kSignResult) {
        ASSERT_FALSE(submitted) << "round " << round;
      }
    }
    EXPECT_TRUE(submitted);
    for (const JournalRecord& record : rig.Records()) {
      if (record.intent != Intent::kSignResult || record.outcome != Outcome::kSigned) continue;
      ASSERT_EQ(later.ClaimResult(record.subject, record.digest).ok(),
                rig.ledger.ClaimResult(record.subject, record.digest).ok())
          << "round " << round;
    }
  }
}

}  // namespace
}  // namespace auspex::keyd
