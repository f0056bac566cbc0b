// SPDX-License-Identifier: AGPL-3.0-only
// The work queue: what is handed out, taken back, completed and refused, and what a completion must
// prove.
#include <sqlite3.h>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "common/wire/result.h"
#include "tests/stated/fixture.h"

namespace auspex::stated {
namespace {

class WorkTest : public HubTest {
 protected:
  WorkTest() { Enrol(); }
  // A unit that runs on `session_`.
  void Running(int n) {
    if (session_ == nullptr) session_ = *hub_->work().Open(4);
    ASSERT_EQ(Offer(OfferNumber(n)).decision, "accepted");
    ASSERT_TRUE(NextWork(*session_).has_value());
    ASSERT_TRUE(hub_->work().Begin(Cat("asg-", n)).ok());
  }
  std::unique_ptr<WorkQueue::Session> session_;
};

TEST_F(WorkTest, HandsOutOldestFirstAndNeverMoreThanSlots) {
  for (int n = 1; n <= 3; ++n) Offer(OfferNumber(n));
  session_ = *hub_->work().Open(2);
  const std::optional<WorkItem> first = NextWork(*session_);
  ASSERT_TRUE(first.has_value());
  const RunUnit& run = std::get<RunUnit>(*first);
  EXPECT_EQ(run.unit.assignment_id, "asg-1");
  EXPECT_EQ(run.unit.manifest_sha256, std::string(64, 'a'));
  EXPECT_EQ(run.unit.created_at, "2026-07-19T11:50:00+00:00");
  EXPECT_EQ(run.canonical_payload, R"({"input":42})");
  EXPECT_FALSE(run.sensitive_accepted);
  EXPECT_EQ(std::get<RunUnit>(*NextWork(*session_)).unit.assignment_id, "asg-2");
  EXPECT_FALSE(NextWork(*session_).has_value());
  ASSERT_TRUE(hub_->work().Refuse("asg-1", "runner_failed", "x").ok());
  EXPECT_EQ(std::get<RunUnit>(*NextWork(*session_)).unit.assignment_id, "asg-3");
}

TEST_F(WorkTest, TheAuditRowOfAUnitNamesTheDevicesThatItMayOpen) {
  session_ = *hub_->work().Open(1);
  Offer(OfferNumber(1));
  ASSERT_TRUE(NextWork(*session_).has_value());
  EXPECT_TRUE(absl::IsInvalidArgument(hub_->work().Begin("asg-1", {"/dev/../etc/shadow"})));
  EXPECT_TRUE(absl::IsInvalidArgument(
      hub_->work().Begin("asg-1", std::vector<std::string>(65, "/dev/nvidia0"))));
  EXPECT_TRUE(Audit("running").empty());
  ASSERT_TRUE(hub_->work().Begin("asg-1", {"/dev/nvidia0", "/dev/nvidiactl"}).ok());
  ASSERT_EQ(Audit("running").size(), 1u);
  EXPECT_EQ(Audit("running")[0].reason, "may open /dev/nvidia0, /dev/nvidiactl");
}

TEST_F(WorkTest, SlotsFollowTheOwnerWhileTheStreamIsOpen) {
  ASSERT_TRUE(hub_->work().SetSlots(3).ok());
  EXPECT_EQ(hub_->work().slots(), 0u) << "nobody is there to have them";
  for (int n = 1; n <= 3; ++n) Offer(OfferNumber(n));
  session_ = *hub_->work().Open(1);
  ASSERT_TRUE(NextWork(*session_).has_value());
  EXPECT_FALSE(NextWork(*session_).has_value());
  ASSERT_TRUE(hub_->work().SetSlots(2).ok());
  EXPECT_EQ(hub_->StatusNow()->slots, 2u);
  EXPECT_EQ(std::get<RunUnit>(*NextWork(*session_)).unit.assignment_id, "asg-2");
  EXPECT_FALSE(NextWork(*session_).has_value());
  // Fewer than are in hand: those stay, and none comes before they are gone.
  ASSERT_TRUE(hub_->work().SetSlots(1).ok());
  ASSERT_TRUE(hub_->work().Refuse("asg-1", "runner_failed", "x").ok());
  EXPECT_FALSE(NextWork(*session_).has_value());
  ASSERT_TRUE(hub_->work().Refuse("asg-2", "runner_failed", "x").ok());
  EXPECT_EQ(std::get<RunUnit>(*NextWork(*session_)).unit.assignment_id, "asg-3");
}

// A stream that could not be opened takes no work: nobody would hand it out.
TEST_F(WorkTest, AStreamThatCannotBeOpenedHasNoSlots) {
  Running(1);
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open((folder_.path() + "/auspex.db").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(hub_->work().Open(2).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(hub_->work().slots(), 0u);
  EXPECT_EQ(sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  session_ = *hub_->work().Open(2);
  EXPECT_EQ(hub_->work().slots(), 2u);
}

TEST_F(WorkTest, SlotsAreBounded) {
  EXPECT_TRUE(absl::IsInvalidArgument(hub_->work().SetSlots(65)));
  EXPECT_TRUE(absl::IsInvalidArgument(hub_->work().Open(0).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(hub_->work().Open(65).status()));
}

TEST_F(WorkTest, TheEndOfTheStreamHandsRunningUnitsOutAgain) {
  Running(1);
  session_.reset();
  EXPECT_EQ(StateOf("asg-1"), UnitState::kAccepted);
  EXPECT_EQ(Audit("requeued").size(), 1u);
  session_ = *hub_->work().Open(1);
  EXPECT_EQ(std::get<RunUnit>(*NextWork(*session_)).unit.assignment_id, "asg-1");
}

TEST_F(WorkTest, ANewerStreamEndsTheOlder) {
  Running(1);
  const std::unique_ptr<WorkQueue::Session> newer = *hub_->work().Open(1);
  EXPECT_TRUE(absl::IsAborted(session_->Next(kNoWait).status()));
  EXPECT_EQ(std::get<RunUnit>(*NextWork(*newer)).unit.assignment_id, "asg-1");
  session_.reset();  // must not take the unit away from the newer one
  EXPECT_EQ(hub_->work().slots(), 1u);
  EXPECT_TRUE(hub_->work().Begin("asg-1").ok());
}

TEST_F(WorkTest, ARestartHandsRunningUnitsOutAgain) {
  Running(1);
  Running(2);
  hub_->context().db.Stop();  // the process is gone: nothing is written any more
  session_.reset();
  Reopen();
  EXPECT_EQ(StateOf("asg-1"), UnitState::kAccepted);
  EXPECT_EQ(StateOf("asg-2"), UnitState::kAccepted);
}

TEST_F(WorkTest, ARunThatOutlivedARestartCanStillBeCompleted) {
  Offer(OfferNumber(1));
  EXPECT_TRUE(hub_->work().Complete(Complete(key_, "asg-1", "u-1").Untrusted()).ok());
  EXPECT_EQ(StateOf("asg-1"), UnitState::kFinished);
}

TEST_F(WorkTest, BeginNeedsAUnitThatWasHandedOut) {
  Offer(OfferNumber(1));
  EXPECT_TRUE(absl::IsFailedPrecondition(hub_->work().Begin("asg-1")));
  EXPECT_TRUE(absl::IsNotFound(hub_->work().Begin("asg-9")));
}

TEST_F(WorkTest, NothingNewIsHandedOutWhileTheOwnerHasPaused) {
  Offer(OfferNumber(1));
  session_ = *hub_->work().Open(1);
  EXPECT_TRUE(*hub_->policy().SetSelfPause(true));
  EXPECT_FALSE(NextWork(*session_).has_value());
  EXPECT_TRUE(*hub_->policy().SetSelfPause(false));
  EXPECT_TRUE(NextWork(*session_).has_value());
}

TEST_F(WorkTest, TheOwnersRefusalEndsARunningUnit) {
  Running(1);
  EXPECT_EQ(*hub_->work().OwnerRefuse("u-1", "no"), 1u);
  const std::optional<WorkItem> item = NextWork(*session_);
  ASSERT_TRUE(item.has_value());
  EXPECT_EQ(std::get<EndUnit>(*item).assignment_id, "asg-1");
  EXPECT_EQ(StateOf("asg-1"), UnitState::kRefused);
  EXPECT_EQ(Audit("refused_manual").size(), 1u);
  const absl::Status late = hub_->work().Complete(Complete(key_, "asg-1", "u-1").Untrusted());
  EXPECT_TRUE(absl::IsFailedPrecondition(late)) << late;
  EXPECT_NE(std::string(late.message()).find("refused"), std::string::npos);
}

TEST_F(WorkTest, TheOwnersRefusalOfAnUnknownUnitIsOnlyAudited) {
  EXPECT_EQ(*hub_->work().OwnerRefuse("u-9", ""), 0u);
  ASSERT_EQ(Audit("refused_manual").size(), 1u);
  EXPECT_EQ(Audit("refused_manual")[0].reason, "manual refuse");
  EXPECT_EQ(Number("SELECT COUNT(*) FROM outbox"), 0);
}

TEST_F(WorkTest, ACompletionStoresResultOutboxAndAuditTogether) {
  Running(1);
  const CompletionFields fields = Complete(key_, "asg-1", "u-1");
  ASSERT_TRUE(hub_->work().Complete(fields.Untrusted()).ok());
  EXPECT_EQ(StateOf("asg-1"), UnitState::kFinished);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM results"), 1);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM units WHERE payload IS NOT NULL"), 0);
  const std::unique_ptr<OutboxQueue::Session> outbox = hub_->outbox().Open();
  const std::optional<stated::OutboxItem> item = NextItem(*outbox);
  ASSERT_TRUE(item.has_value());
  EXPECT_TRUE(CheckCanonicalObject(item->body).ok());
  const JsonValue body = *ReadJson(item->body);
  EXPECT_EQ(body.as_object()->size(), 10u);
  EXPECT_EQ(*body.FindString("assignment_id"), "asg-1");
  EXPECT_EQ(*body.FindString("unit_id"), "u-1");
  EXPECT_EQ(*body.FindString("completed_at"), fields.completed_at);
  EXPECT_EQ(body.Find("exit_code")->AsInt64(), 0);
  EXPECT_EQ(WriteCanonical(*body.Find("payload")), R"({"answer":1})");
  EXPECT_EQ(*body.FindString("ran_under"), "strict");
  EXPECT_EQ(body.Find("schema_version")->AsInt64(), 2);
  EXPECT_EQ(*body.FindString("worker_pubkey"), key_.public_hex());
  EXPECT_EQ(*body.FindString("worker_signature"), Base64Encode(fields.signature));
  EXPECT_TRUE(body.Find("served_weights")->as_object()->empty());
}

TEST_F(WorkTest, TheSameCompletionTwiceIsOneResultAndAnotherIsRefused) {
  Running(1);
  ASSERT_TRUE(hub_->work().Complete(Complete(key_, "asg-1", "u-1").Untrusted()).ok());
  EXPECT_TRUE(hub_->work().Complete(Complete(key_, "asg-1", "u-1").Untrusted()).ok());
  EXPECT_EQ(Number("SELECT COUNT(*) FROM outbox"), 1);
  const absl::Status other =
      hub_->work().Complete(Complete(key_, "asg-1", "u-1", R"({"answer":2})").Untrusted());
  EXPECT_TRUE(absl::IsFailedPrecondition(other)) << other;
  EXPECT_EQ(Number("SELECT COUNT(*) FROM results"), 1);
}

TEST_F(WorkTest, ACompletionIsTakenOnlyWhenEveryFieldHolds) {
  Running(1);
  const CompletionFields good = Complete(key_, "asg-1", "u-1");
  std::vector<CompletionFields> bad(20, good);
  size_t i = 0;
  bad[i++].completed_at = "2026-07-19T12:00:05Z";
  bad[i++].completed_at = "2026-07-19T12:00:06.000001+00:00";  // not what was signed
  bad[i++].exit_code = 256;
  bad[i++].exit_code = 1;
  bad[i++].schema_version = 1;
  bad[i++].schema_version = 3;
  bad[i++].ran_under = "permissive";
  bad[i++].ran_under = "none";
  bad[i++].ran_under = "STRICT";
  bad[i++].payload = R"({"answer":2})";
  bad[i++].payload = R"({"answer": 1})";
  bad[i++].payload = "[]";
  bad[i++].worker_pubkey = TestKey('x').public_hex();
  bad[i++].worker_pubkey = "zz";
  bad[i++].signature[7] ^= 1;
  bad[i++].signature.clear();
  bad[i++].digest[7] ^= 1;
  bad[i++].served_weights = {{"../m", std::string(64, 'a')}};
  bad[i++].served_weights = {{"m", "short"}};
  bad[i++].raw_response = "text without a signature";
  ASSERT_EQ(i, bad.size());
  for (size_t n = 0; n < bad.size(); ++n) {
    const absl::Status status = hub_->work().Complete(bad[n].Untrusted());
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << n << ": " << status;
  }
  // Signed by a right key, for another unit.
  const CompletionFields other_unit = Complete(key_, "asg-1", "u-2");
  EXPECT_TRUE(absl::IsInvalidArgument(hub_->work().Complete(other_unit.Untrusted())));
  EXPECT_EQ(StateOf("asg-1"), UnitState::kRunning);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM results"), 0);
  EXPECT_TRUE(hub_->work().Complete(good.Untrusted()).ok());
}

TEST_F(WorkTest, RawTextTravelsBesideThePayloadUntilItIsSettled) {
  Running(1);
  CompletionFields fields = Complete(key_, "asg-1", "u-1");
  fields.raw_response = "what the model said: caf\xc3\xa9";
  fields.raw_signature =
      key_.Sign(*CanonicalRawText("u-1", key_.public_hex(), fields.raw_response));
  CompletionFields wrong = fields;
  wrong.raw_response += "!";
  EXPECT_TRUE(absl::IsInvalidArgument(hub_->work().Complete(wrong.Untrusted())));
  ASSERT_TRUE(hub_->work().Complete(fields.Untrusted()).ok());
  const std::unique_ptr<OutboxQueue::Session> outbox = hub_->outbox().Open();
  const JsonValue body = *ReadJson(NextItem(*outbox)->body);
  EXPECT_EQ(*body.FindString("raw_response"), fields.raw_response);
  EXPECT_EQ(*body.FindString("raw_signature"), Base64Encode(fields.raw_signature));
  // Settling takes the whole body away.
  const std::unique_ptr<OutboxQueue::Session> again = hub_->outbox().Open();
  Submit(*again, 1);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM outbox WHERE body IS NOT NULL"), 0);
}

TEST_F(WorkTest, ABodyAboveTheCoordinatorsLimitIsRefused) {
  Running(1);
  CompletionFields fields = Complete(
      key_, "asg-1", "u-1", Cat("{\"a\":\"", std::string(kMaxPayloadOctets - 8, 'x'), "\"}"));
  fields.raw_response = std::string(600 * 1024, 'r');
  fields.raw_signature =
      key_.Sign(*CanonicalRawText("u-1", key_.public_hex(), fields.raw_response));
  EXPECT_TRUE(absl::IsInvalidArgument(hub_->work().Complete(fields.Untrusted())));
  fields.raw_response.clear();
  fields.raw_signature.clear();
  EXPECT_TRUE(hub_->work().Complete(fields.Untrusted()).ok());
}

TEST_F(WorkTest, ARefusalNeedsAKnownKind) {
  Running(1);
  EXPECT_TRUE(absl::IsInvalidArgument(hub_->work().Refuse("asg-1", "refused_for_fun", "x")));
  EXPECT_TRUE(hub_->work().Refuse("asg-1", "sandbox_unavailable", "no seccomp").ok());
  EXPECT_EQ(Audit("sandbox_unavailable").size(), 1u);
  EXPECT_TRUE(absl::IsFailedPrecondition(hub_->work().Refuse("asg-1", "runner_failed", "x")));
}

// The heartbeat that follows a new runner must have what it can do in it.
TEST_F(WorkTest, NothingIsAskedForBeforeTheRunnerHasSaidWhatItCanDo) {
  // One that no runnerd has told anything yet.
  hub_.reset();
  hub_ = *Hub::Open(folder_.path(), clock_, settings_);
  session_ = *hub_->work().Open(2);
  EXPECT_EQ(hub_->DemandNow()->reason, "no_runner");
  ASSERT_TRUE(hub_->capabilities().Set(R"({"cpu_count":2})").ok());
  EXPECT_EQ(hub_->DemandNow()->reason, "ready");
}

TEST_F(WorkTest, DemandSaysWhyAndCountsFreeSlots) {
  EXPECT_EQ(hub_->DemandNow()->reason, "no_runner");
  session_ = *hub_->work().Open(2);
  Demand demand = *hub_->DemandNow();
  EXPECT_EQ(demand.reason, "ready");
  EXPECT_EQ(demand.free_slots, 2u);
  Offer(OfferNumber(1));
  EXPECT_EQ(hub_->DemandNow()->free_slots, 1u);
  Offer(OfferNumber(2));
  demand = *hub_->DemandNow();
  EXPECT_EQ(demand.reason, "busy");
  EXPECT_EQ(demand.free_slots, 0u);
  EXPECT_EQ(demand.in_hand, 2u);
  ASSERT_TRUE(NextWork(*session_).has_value());
  ASSERT_TRUE(hub_->work().Begin("asg-1").ok());
  ASSERT_TRUE(hub_->work().Complete(Complete(key_, "asg-1", "u-1").Untrusted()).ok());
  const Demand freed = *hub_->DemandNow();
  EXPECT_EQ(freed.free_slots, 1u);
  EXPECT_GT(freed.generation, demand.generation);
  EXPECT_EQ(freed.outbox_unattempted, 1u);
  ASSERT_TRUE(hub_->policy().SetSelfPause(true).ok());
  EXPECT_EQ(hub_->DemandNow()->reason, "self_paused");
  ASSERT_TRUE(hub_->policy().SetSelfPause(false).ok());
  EXPECT_GT(hub_->DemandNow()->generation, freed.generation);
}

TEST_F(HubTest, DemandBeforeEnrolment) {
  const Demand demand = *hub_->DemandNow();
  EXPECT_EQ(demand.reason, "not_enrolled");
  EXPECT_FALSE(demand.enrolled);
  EXPECT_EQ(demand.free_slots, 0u);
}

}  // namespace
}  // namespace auspex::stated
