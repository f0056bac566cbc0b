// SPDX-License-Identifier: AGPL-3.0-only
// Owner's acts need an open grant (promise P6), and every act on the key is on record.
#include <gtest/gtest.h>

#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

struct Act {
  Intent intent;
  OwnerAct act;
};
constexpr Act kActs[] = {{Intent::kRetire, OwnerAct::kRetire},
                         {Intent::kUpgrade, OwnerAct::kUpgrade},
                         {Intent::kUnbind, OwnerAct::kUnbind}};

TEST(Grant, WithoutOneTheActIsRefusedAndRecorded) {
  for (const Act& act : kActs) {
    Rig rig;
    const auto answer = rig.boundary.SignRequest(kNetd, GoodRequest(act.intent));
    EXPECT_EQ(answer.status().code(), absl::StatusCode::kPermissionDenied) << answer.status();
    ASSERT_EQ(rig.Records().size(), 1u);
    EXPECT_EQ(rig.Records()[0].outcome, Outcome::kRefused);
    EXPECT_EQ(rig.Records()[0].intent, act.intent);
  }
}

TEST(Grant, IsGoodForOneSignatureOfItsOwnAct) {
  for (const Act& act : kActs) {
    Rig rig;
    ASSERT_TRUE(rig.custody.OpenGrant(kOwner, act.act, kSomeWorker, 60).ok());
    for (const Act& other : kActs) {
      if (other.act == act.act) continue;
      EXPECT_FALSE(rig.boundary.SignRequest(kNetd, GoodRequest(other.intent)).ok());
    }
    EXPECT_TRUE(rig.boundary.SignRequest(kNetd, GoodRequest(act.intent)).ok());
    EXPECT_EQ(rig.boundary.SignRequest(kNetd, GoodRequest(act.intent)).status().code(),
              absl::StatusCode::kPermissionDenied);
  }
}

TEST(Grant, EndsByTheClockThatNobodySets) {
  Rig rig;
  ASSERT_TRUE(rig.custody.OpenGrant(kOwner, OwnerAct::kRetire, kSomeWorker, 10).ok());
  rig.clock.SetSeconds(1);  // an attacker's clock change does not keep it open
  rig.clock.AdvanceSeconds(10);
  EXPECT_FALSE(rig.boundary.SignRequest(kNetd, GoodRequest(Intent::kRetire)).ok());
  ASSERT_TRUE(rig.custody.OpenGrant(kOwner, OwnerAct::kRetire, kSomeWorker, 10).ok());
  rig.clock.AdvanceSeconds(9);
  EXPECT_TRUE(rig.boundary.SignRequest(kNetd, GoodRequest(Intent::kRetire)).ok());
}

TEST(Grant, ABadFieldDoesNotUseItUp) {
  Rig rig;
  ASSERT_TRUE(rig.custody.OpenGrant(kOwner, OwnerAct::kUpgrade, kSomeWorker, 10).ok());
  UntrustedRequest bad = GoodRequest(Intent::kUpgrade);
  bad.body_sha256 = "short";
  EXPECT_FALSE(rig.boundary.SignRequest(kNetd, bad).ok());
  EXPECT_TRUE(rig.boundary.SignRequest(kNetd, GoodRequest(Intent::kUpgrade)).ok());
}

TEST(Grant, LifetimeIsBounded) {
  Rig rig;
  EXPECT_EQ(rig.custody.OpenGrant(kOwner, OwnerAct::kRetire, kSomeWorker, 901).status().code(),
            absl::StatusCode::kInvalidArgument);
  const auto by_default = rig.custody.OpenGrant(kOwner, OwnerAct::kRetire, kSomeWorker, 0);
  ASSERT_TRUE(by_default.ok());
  EXPECT_EQ(*by_default, rig.clock.NowSeconds() + 60);
  EXPECT_TRUE(rig.custody.OpenGrant(kOwner, OwnerAct::kRetire, kSomeWorker, 900).ok());
}

TEST(Grant, DestroyingTheKeyClosesAll) {
  Rig rig;
  const std::string key = rig.keys->view().public_key_hex();
  ASSERT_TRUE(rig.custody.OpenGrant(kOwner, OwnerAct::kRetire, kSomeWorker, 60).ok());
  ASSERT_TRUE(rig.custody.DestroyKey(kOwner).ok());
  EXPECT_EQ(rig.grants.Take(OwnerAct::kRetire, {kSomeWorker, key}).code(),
            absl::StatusCode::kPermissionDenied);
}

TEST(Grant, NamesTheWorkerThatTheKeyIsEnrolledAs) {
  Rig rig;
  for (const char* worker : {"", "wkr-other", "wkr-Zk3v_Q9-aB1", "wkr-Zk3v_Q9-aB1x ", "../x"}) {
    const absl::Status status =
        rig.custody.OpenGrant(kOwner, OwnerAct::kRetire, worker, 60).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << worker;
    EXPECT_EQ(std::string(status.message()).rfind("worker_id:", 0), 0u) << status;
    EXPECT_NE(std::string(status.message()).find(kSomeWorker), std::string::npos) << status;
    EXPECT_EQ(rig.Records().back().outcome, Outcome::kRefused);
    EXPECT_EQ(rig.boundary.SignRequest(kNetd, GoodRequest(Intent::kRetire)).status().code(),
              absl::StatusCode::kPermissionDenied);
  }
  Rig unpinned(std::nullopt);
  EXPECT_EQ(unpinned.custody.OpenGrant(kOwner, OwnerAct::kRetire, kSomeWorker, 60).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(Grant, IsBoundToTheWorkerAndTheKey) {
  FakeClock clock;
  Grants grants(clock);
  const Grants::Subject given{"wkr-1", std::string(64, 'a')};
  for (const Grants::Subject& asked : {Grants::Subject{"wkr-2", given.public_key_hex},
                                       Grants::Subject{given.worker_id, std::string(64, 'b')}}) {
    ASSERT_TRUE(grants.Open(OwnerAct::kRetire, given, 60).ok());
    const absl::Status status = grants.Take(OwnerAct::kRetire, asked);
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
    EXPECT_NE(std::string(status.message()).find("wkr-1"), std::string::npos) << status;
    // Whoever asked wrongly has used it up.
    EXPECT_FALSE(grants.Take(OwnerAct::kRetire, given).ok());
  }
  ASSERT_TRUE(grants.Open(OwnerAct::kRetire, given, 60).ok());
  EXPECT_TRUE(grants.Take(OwnerAct::kRetire, given).ok());
}

TEST(Grant, PinningAnewClosesAll) {
  Rig rig;
  ASSERT_TRUE(rig.custody.OpenGrant(kOwner, OwnerAct::kRetire, kSomeWorker, 60).ok());
  ASSERT_TRUE(
      rig.custody.SetEnrolment(kOwner, "https://coord.auspexai.network/lab", kSomeWorker).ok());
  EXPECT_EQ(rig.boundary.SignRequest(kNetd, GoodRequest(Intent::kRetire)).status().code(),
            absl::StatusCode::kPermissionDenied);
}

TEST(Custody, EachActIsOnRecord) {
  Rig rig;
  const std::string key = rig.keys->view().public_key_hex();
  EXPECT_EQ(rig.custody.CreateKey(kOwner).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(rig.custody.SetEnrolment(kOwner, "https://b.example", "wkr-2").ok());
  EXPECT_TRUE(rig.custody.OpenGrant(kOwner, OwnerAct::kUnbind, "wkr-2", 5).ok());
  EXPECT_TRUE(rig.custody.DestroyKey(kOwner)->existed);
  EXPECT_FALSE(rig.custody.DestroyKey(kOwner)->existed);
  const std::vector<JournalRecord> records = rig.Records();
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(records[0].outcome, Outcome::kRefused);
  EXPECT_EQ(records[1].intent, Intent::kSetEnrolment);
  EXPECT_EQ(records[1].outcome, Outcome::kDone);
  EXPECT_EQ(records[1].subject, "wkr-2 https://b.example");
  EXPECT_EQ(records[2].subject, "unbind wkr-2");
  EXPECT_EQ(records[3].intent, Intent::kDestroyKey);
  EXPECT_EQ(records[3].subject, key);
}

TEST(Custody, AnEnrolmentIsCheckedFieldByField) {
  Rig rig;
  for (const char* url : {"", "coord.example", "http://coord.example", "https://u:p@coord.example",
                          "https://coord.example/?q", "ftp://coord.example"}) {
    const absl::Status status = rig.custody.SetEnrolment(kOwner, url, "wkr-1");
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << url;
    EXPECT_EQ(std::string(status.message()).rfind("base_url:", 0), 0u) << status;
  }
  for (const char* worker : {"", "..", "a/b", "a b"}) {
    const absl::Status status = rig.custody.SetEnrolment(kOwner, "https://c.example", worker);
    EXPECT_EQ(std::string(status.message()).rfind("worker_id:", 0), 0u) << status;
  }
  // What was pinned before is still in force.
  EXPECT_EQ(rig.keys->view().enrolment()->worker_id.str(), "wkr-Zk3v_Q9-aB1x");
}

TEST(Custody, ASignatureUnderWayDoesNotOutliveAChangeOfTheEnrolment) {
  Rig rig;
  const auto begun = rig.boundary.Begin(kNetd, GoodRequest(Intent::kPoll));
  ASSERT_TRUE(begun.ok());
  // The same words again: even so it is another act of the owner.
  const Enrolment enrolment = SomeEnrolment();
  ASSERT_TRUE(
      rig.custody.SetEnrolment(kOwner, enrolment.base_url.str(), enrolment.worker_id.str()).ok());
  EXPECT_EQ(rig.boundary.Finish(*begun).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Custody, ASignatureUnderWayDoesNotOutliveAChangeOfTheKey) {
  Rig rig;
  const KeyRing::View before = rig.keys->view();
  JournalEntry entry;
  entry.outcome = Outcome::kSigned;
  const auto proof = rig.journal->Append(entry);
  ASSERT_TRUE(proof.ok());
  ASSERT_TRUE(rig.custody.DestroyKey(kOwner).ok());
  EXPECT_EQ(rig.keys->Sign(before, *proof, "x").status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace auspex::keyd
