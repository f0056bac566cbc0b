// SPDX-License-Identifier: AGPL-3.0-only
// The outbox: order, redelivery, the retry schedule under a clock of our own, and each outcome.
#include "stated/outbox.h"

#include "common/base/cat.h"
#include "stated/retry.h"
#include "tests/stated/fixture.h"

namespace auspex::stated {
namespace {

constexpr int64_t kSecond = 1'000'000;

TEST(Retry, DoublesFromOneSecondToFiveMinutesWithJitter) {
  const int64_t expected[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300};
  for (int attempt = 1; attempt <= 12; ++attempt) {
    const int64_t middle = expected[attempt - 1] * kSecond;
    EXPECT_EQ(RetryDelayMicros(attempt, 0, 0.5), middle);
    EXPECT_EQ(RetryDelayMicros(attempt, 0, 0.0), middle * 8 / 10);
    EXPECT_LE(RetryDelayMicros(attempt, 0, 0.999), middle * 12 / 10);
  }
  EXPECT_EQ(RetryDelayMicros(1'000'000, 0, 0.5), 300 * kSecond);
}

TEST(Retry, RetryAfterIsTheLeastAndAtMostADay) {
  EXPECT_EQ(RetryDelayMicros(1, 90, 0.5), 90 * kSecond);
  EXPECT_EQ(RetryDelayMicros(12, 90, 0.5), 300 * kSecond);
  EXPECT_EQ(RetryDelayMicros(1, 4'000'000'000, 0.5), 86'400 * kSecond);
}

class OutboxTest : public HubTest {
 protected:
  OutboxTest() {
    Enrol();
    work_ = *hub_->work().Open(8);
    outbox_ = hub_->outbox().Open();
  }
  absl::Status Settle(int64_t id, const Outcome& outcome) {
    return hub_->outbox().Settle(id, outcome);
  }
  std::unique_ptr<WorkQueue::Session> work_;
  std::unique_ptr<OutboxQueue::Session> outbox_;
};

TEST_F(OutboxTest, GivesResultsAndRefusalsOldestFirstAndEachOnce) {
  FinishUnit(*work_, 1);
  Offer(OfferNumber(2));
  ASSERT_TRUE(hub_->work().Refuse("asg-2", "runner_failed", "x").ok());
  FinishUnit(*work_, 3);
  EXPECT_EQ(NextItem(*outbox_)->assignment_id, "asg-1");
  EXPECT_EQ(NextItem(*outbox_)->assignment_id, "asg-2");
  EXPECT_EQ(NextItem(*outbox_)->assignment_id, "asg-3");
  EXPECT_FALSE(NextItem(*outbox_).has_value());
}

TEST_F(OutboxTest, AnEndedStreamMakesUnsettledItemsDueAtOnceWithTheSameOctets) {
  FinishUnit(*work_, 1);
  const stated::OutboxItem first = *NextItem(*outbox_);
  outbox_.reset();
  EXPECT_FALSE(hub_->outbox().connected());
  outbox_ = hub_->outbox().Open();
  const stated::OutboxItem again = *NextItem(*outbox_);
  EXPECT_EQ(again.id, first.id);
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(again.attempt, 1);
}

TEST_F(OutboxTest, ANewerStreamEndsTheOlderAndGetsItsItems) {
  FinishUnit(*work_, 1);
  const stated::OutboxItem first = *NextItem(*outbox_);
  const std::unique_ptr<OutboxQueue::Session> newer = hub_->outbox().Open();
  EXPECT_TRUE(absl::IsAborted(outbox_->Next(kNoWait).status()));
  EXPECT_EQ(NextItem(*newer)->id, first.id);
  outbox_.reset();
  EXPECT_TRUE(hub_->outbox().connected());
}

TEST_F(OutboxTest, ARestartLosesNothing) {
  FinishUnit(*work_, 1);
  const stated::OutboxItem first = *NextItem(*outbox_);
  work_.reset();
  outbox_.reset();
  Reopen();
  outbox_ = hub_->outbox().Open();
  EXPECT_EQ(NextItem(*outbox_)->body, first.body);
}

TEST_F(OutboxTest, AFailedResultComesBackOnScheduleAndIsAuditedOnce) {
  FinishUnit(*work_, 1);
  for (int attempt = 1; attempt <= 3; ++attempt) {
    const std::optional<stated::OutboxItem> item = NextItem(*outbox_);
    ASSERT_TRUE(item.has_value());
    EXPECT_EQ(item->attempt, attempt);
    ASSERT_TRUE(Settle(item->id, Transient{"503", 0}).ok());
    const int64_t base = kSecond << (attempt - 1);
    clock_.Advance(base * 8 / 10 - 1);
    EXPECT_FALSE(NextItem(*outbox_).has_value());
    clock_.Advance(base * 4 / 10 + 1);
  }
  EXPECT_TRUE(NextItem(*outbox_).has_value());
  EXPECT_EQ(Audit("submit_failed_transient").size(), 1u);
}

TEST_F(OutboxTest, RetryAfterIsHonoured) {
  FinishUnit(*work_, 1);
  ASSERT_TRUE(Settle(NextItem(*outbox_)->id, Transient{"429", 120}).ok());
  clock_.Advance(119 * kSecond);
  EXPECT_FALSE(NextItem(*outbox_).has_value());
  clock_.Advance(kSecond);
  EXPECT_TRUE(NextItem(*outbox_).has_value());
}

TEST_F(OutboxTest, TheHundredthFailureIsTerminalAndSendsNoRefusal) {
  FinishUnit(*work_, 1);
  for (int attempt = 1; attempt <= kMaxAttempts; ++attempt) {
    const std::optional<stated::OutboxItem> item = NextItem(*outbox_);
    ASSERT_TRUE(item.has_value()) << attempt;
    ASSERT_TRUE(Settle(item->id, Transient{"503", 0}).ok());
    clock_.Advance(400 * kSecond);
  }
  EXPECT_FALSE(NextItem(*outbox_).has_value());
  EXPECT_EQ(StateOf("asg-1"), UnitState::kTerminal);
  EXPECT_EQ(Audit("submit_failed_terminal").size(), 1u);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM outbox"), 0);
  EXPECT_EQ(Status().results_terminal, 1);
}

TEST_F(OutboxTest, ATerminalAnswerEndsTheResultForGood) {
  FinishUnit(*work_, 1);
  ASSERT_TRUE(Settle(NextItem(*outbox_)->id, Terminal{"unit_id_mismatch", "422"}).ok());
  EXPECT_EQ(StateOf("asg-1"), UnitState::kTerminal);
  ASSERT_EQ(Audit("submit_failed_terminal").size(), 1u);
  EXPECT_EQ(Audit("submit_failed_terminal")[0].reason, "unit_id_mismatch: 422");
  EXPECT_FALSE(NextItem(*outbox_).has_value());
  EXPECT_EQ(Offer(OfferNumber(1)).decision, "known");
}

TEST_F(OutboxTest, AHeldResultDoesNotCountAsAnAttempt) {
  FinishUnit(*work_, 1);
  for (int i = 0; i < 300; ++i) {
    const std::optional<stated::OutboxItem> item = NextItem(*outbox_);
    ASSERT_TRUE(item.has_value());
    EXPECT_EQ(item->attempt, 1);
    ASSERT_TRUE(Settle(item->id, Held{"worker_quarantined"}).ok());
    EXPECT_FALSE(NextItem(*outbox_).has_value());
    clock_.Advance(settings_.poll_interval_micros);
  }
  EXPECT_EQ(StateOf("asg-1"), UnitState::kFinished);
}

TEST_F(OutboxTest, ResultsWaitWhileQuarantinedAndRefusalsDoNot) {
  ASSERT_TRUE(hub_->contact().PollHeld("quarantine", "drift", "").ok());
  FinishUnit(*work_, 1);  // the offer clears the hold
  ASSERT_TRUE(hub_->contact().PollHeld("quarantine", "drift", "").ok());
  EXPECT_FALSE(NextItem(*outbox_).has_value());
  EXPECT_EQ(hub_->DemandNow()->outbox_unattempted, 0u);
  ASSERT_TRUE(hub_->contact().PollWithoutWork("no_pending_work").ok());
  EXPECT_EQ(NextItem(*outbox_)->kind, OutboxKind::kResult);
  Offer(OfferNumber(2));
  ASSERT_TRUE(hub_->work().Refuse("asg-2", "runner_failed", "x").ok());
  ASSERT_TRUE(hub_->contact().PollHeld("quarantine", "drift", "").ok());
  EXPECT_EQ(NextItem(*outbox_)->kind, OutboxKind::kRefusal);
}

TEST_F(OutboxTest, AnOperatorsPauseDoesNotHoldResults) {
  FinishUnit(*work_, 1);
  ASSERT_TRUE(hub_->contact().PollHeld("pause", "maintenance", "").ok());
  EXPECT_TRUE(NextItem(*outbox_).has_value());
}

TEST_F(OutboxTest, AnAcceptedResultIsRecordedOnceAndAsksForItsReceipt) {
  FinishUnit(*work_, 1);
  const int64_t id = NextItem(*outbox_)->id;
  ResultAccepted accepted;
  accepted.untrusted_result_id = "res-1";
  accepted.untrusted_unit_status_after = "in_progress";
  accepted.completions_so_far = 1;
  accepted.replication_target = 3;
  ASSERT_TRUE(Settle(id, accepted).ok());
  ASSERT_TRUE(Settle(id, accepted).ok());  // idempotent
  EXPECT_EQ(StateOf("asg-1"), UnitState::kSubmitted);
  EXPECT_EQ(Audit("submitted").size(), 1u);
  const StatusReport status = Status();
  EXPECT_EQ(status.results_submitted, 1);
  EXPECT_EQ(status.receipts_placeholder, 1);
  EXPECT_EQ(status.experiments, 1);
  const ResultRow row = *GetResult(hub_->context(), "res-1");
  EXPECT_EQ(row.receipt_status, ReceiptStatus::kPlaceholder);
  EXPECT_EQ(row.replication_target, 3);
  EXPECT_EQ(row.canonical_payload, R"({"answer":1})");
  EXPECT_FALSE(NextItem(*outbox_).has_value());
  clock_.Advance(kFirstReceiptDelayMicros);
  const stated::OutboxItem receipt = *NextItem(*outbox_);
  EXPECT_EQ(receipt.kind, OutboxKind::kReceipt);
  EXPECT_EQ(receipt.subject, "res-1");
}

TEST_F(OutboxTest, AHostileResultIdIsRefusedAndTheItemStays) {
  FinishUnit(*work_, 1);
  const int64_t id = NextItem(*outbox_)->id;
  for (const char* result_id : {"", "..", "a/b", "res 1", "\x1b[2J"}) {
    ResultAccepted accepted;
    accepted.untrusted_result_id = result_id;
    EXPECT_TRUE(absl::IsInvalidArgument(Settle(id, accepted))) << result_id;
  }
  EXPECT_EQ(StateOf("asg-1"), UnitState::kFinished);
}

TEST_F(OutboxTest, AnOutcomeMustFitTheItem) {
  FinishUnit(*work_, 1);
  const int64_t id = NextItem(*outbox_)->id;
  EXPECT_TRUE(absl::IsInvalidArgument(Settle(id, RefusalDone{})));
  EXPECT_TRUE(absl::IsInvalidArgument(Settle(id, ReceiptArrived{})));
  EXPECT_TRUE(absl::IsInvalidArgument(Settle(id, ReceiptNever{})));
  EXPECT_TRUE(Settle(123456789, RefusalDone{}).ok());  // gone
}

TEST_F(OutboxTest, ARefusalIsDoneOrDroppedAndNeverBecomesSomethingElse) {
  Offer(OfferNumber(1));
  ASSERT_TRUE(hub_->work().Refuse("asg-1", "runner_failed", "x").ok());
  ASSERT_TRUE(Settle(NextItem(*outbox_)->id, RefusalDone{"404"}).ok());
  EXPECT_EQ(Number("SELECT COUNT(*) FROM outbox"), 0);
  Offer(OfferNumber(2));
  ASSERT_TRUE(hub_->work().Refuse("asg-2", "runner_failed", "x").ok());
  ASSERT_TRUE(Settle(NextItem(*outbox_)->id, Terminal{"unauthorized", "401"}).ok());
  EXPECT_EQ(Number("SELECT COUNT(*) FROM outbox"), 0);
  EXPECT_EQ(StateOf("asg-2"), UnitState::kRefused);
}

TEST_F(OutboxTest, ReceiptsRotateSoThatNoneBlocksALaterOne) {
  for (int n = 1; n <= 12; ++n) {
    FinishUnit(*work_, n);
    Submit(*outbox_, n);
  }
  clock_.Advance(kFirstReceiptDelayMicros);
  std::set<std::string> asked;
  for (int i = 0; i < 12; ++i) {
    const std::optional<stated::OutboxItem> item = NextItem(*outbox_);
    ASSERT_TRUE(item.has_value());
    asked.insert(item->subject);
    ASSERT_TRUE(Settle(item->id, Transient{"receipt_not_issued", 0}).ok());
  }
  EXPECT_EQ(asked.size(), 12u);
}

TEST_F(OutboxTest, AReceiptNeverBecomesTerminalByItself) {
  FinishUnit(*work_, 1);
  Submit(*outbox_, 1);
  for (int i = 0; i < 150; ++i) {
    clock_.Advance(400 * kSecond);
    const std::optional<stated::OutboxItem> item = NextItem(*outbox_);
    ASSERT_TRUE(item.has_value());
    ASSERT_TRUE(Settle(item->id, Transient{"receipt_not_issued", 0}).ok());
  }
  EXPECT_EQ(Status().receipts_placeholder, 1);
}

TEST_F(OutboxTest, TheWindowIsBoundedAndReceiptsDoNotFillIt) {
  for (int n = 1; n <= 10; ++n) {
    FinishUnit(*work_, n);
    Submit(*outbox_, n);
  }
  clock_.Advance(kFirstReceiptDelayMicros);
  for (size_t i = 0; i < kMaxReceiptsInFlight; ++i)
    EXPECT_EQ(NextItem(*outbox_)->kind, OutboxKind::kReceipt);
  EXPECT_FALSE(NextItem(*outbox_).has_value());
  for (int n = 100; n < 140; ++n) {
    Offer(OfferNumber(n));
    ASSERT_TRUE(hub_->work().Refuse(Cat("asg-", n), "runner_failed", "x").ok());
  }
  for (size_t i = 0; i < kMaxInFlight; ++i)
    EXPECT_EQ(NextItem(*outbox_)->kind, OutboxKind::kRefusal);
  EXPECT_FALSE(NextItem(*outbox_).has_value());
}

TEST_F(OutboxTest, AClockSetBackDoesNotStrandAnItem) {
  FinishUnit(*work_, 1);
  ASSERT_TRUE(Settle(NextItem(*outbox_)->id, Transient{"503", 0}).ok());
  clock_.Jump(-400 * 86'400 * kSecond);
  EXPECT_FALSE(NextItem(*outbox_).has_value());
  ASSERT_TRUE(hub_->outbox().MendDueTimes().ok());
  EXPECT_TRUE(NextItem(*outbox_).has_value());
}

}  // namespace
}  // namespace auspex::stated
