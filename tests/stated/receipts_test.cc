// SPDX-License-Identifier: AGPL-3.0-only
// Receipts (promise P15): what counts as good, and that nothing else ever does.
#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/crypto/sha256.h"
#include "common/wire/result.h"
#include "stated/receipt_check.h"
#include "stated/retry.h"
#include "tests/stated/fixture.h"

namespace auspex::stated {
namespace {

class ReceiptsTest : public HubTest {
 protected:
  // Unit n is submitted and its receipt is asked for; returns the item's id.
  int64_t Ask(int n) {
    if (work_ == nullptr) {
      work_ = *hub_->work().Open(1);
      outbox_ = hub_->outbox().Open();
    }
    FinishUnit(*work_, n);
    Submit(*outbox_, n);
    clock_.Advance(kFirstReceiptDelayMicros);
    return Again();
  }
  int64_t Again() {
    const std::optional<stated::OutboxItem> item = NextItem(*outbox_);
    EXPECT_TRUE(item.has_value());
    return item.has_value() ? item->id : 0;
  }
  void Bring(int64_t id, const std::string& cose) {
    const absl::Status status = hub_->outbox().Settle(id, ReceiptArrived{cose});
    EXPECT_TRUE(status.ok()) << status;
  }
  ResultRow Row(int n) { return *GetResult(hub_->context(), Cat("res-", n)); }
  void Close() {
    work_.reset();
    outbox_.reset();
  }

  TestKey coordinator_{'c'};
  std::unique_ptr<WorkQueue::Session> work_;
  std::unique_ptr<OutboxQueue::Session> outbox_;
};

TEST_F(ReceiptsTest, AGoodOneIsStored) {
  Enrol();
  const std::string cose = ReceiptFor(coordinator_, 1);
  Bring(Ask(1), cose);
  const ResultRow row = Row(1);
  EXPECT_EQ(row.receipt_status, ReceiptStatus::kCanonical);
  EXPECT_EQ(row.receipt, cose);
  EXPECT_EQ(row.receipt_signer, coordinator_.public_hex());
  EXPECT_EQ(row.agreeing_workers, 2);
  EXPECT_EQ(Status().receipts_canonical, 1);
  EXPECT_EQ(Status().receipts_placeholder, 0);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM outbox"), 0);
}

TEST_F(ReceiptsTest, WithoutTheDigestOfOurResultItIsBad) {
  Enrol();
  Bring(Ask(1), ReceiptFor(coordinator_, 1, std::string(64, 'f')));
  EXPECT_EQ(Row(1).receipt_status, ReceiptStatus::kBad);
  EXPECT_NE(Row(1).receipt_note.find("anchors"), std::string::npos);
  EXPECT_EQ(Status().receipts_bad, 1);
}

TEST_F(ReceiptsTest, AnotherUnitsReceiptIsBad) {
  Enrol();
  Bring(Ask(1), ReceiptFor(coordinator_, 2));
  EXPECT_EQ(Row(1).receipt_status, ReceiptStatus::kBad);
  EXPECT_NE(Row(1).receipt_note.find("u-1"), std::string::npos);
}

TEST_F(ReceiptsTest, AnotherWorkersReceiptIsBad) {
  Enrol();
  const int64_t id = Ask(1);
  const TestKey ours = key_;
  key_ = TestKey('x');
  const std::string cose =
      ReceiptFor(coordinator_, 1, HexEncode(Complete(ours, "asg-1", "u-1").digest));
  key_ = ours;
  Bring(id, cose);
  EXPECT_EQ(Row(1).receipt_status, ReceiptStatus::kBad);
  EXPECT_NE(Row(1).receipt_note.find("not ours"), std::string::npos);
}

TEST_F(ReceiptsTest, OctetsThatAreNoReceiptAreBadAndNeverMore) {
  Enrol();
  const std::string good = ReceiptFor(coordinator_, 1);
  int64_t id = Ask(1);
  std::vector<std::string> wrong = {"", "x", good + "x", good.substr(0, good.size() - 1),
                                    std::string(200'000, 'a')};
  for (const size_t at : {size_t{0}, size_t{5}, good.size() / 2, good.size() - 3}) {
    wrong.push_back(good);
    wrong.back()[at] = static_cast<char>(wrong.back()[at] ^ 1);
  }
  for (const std::string& cose : wrong) {
    Bring(id, cose);
    EXPECT_EQ(Row(1).receipt_status, ReceiptStatus::kBad);
    EXPECT_TRUE(Row(1).receipt.empty());
    clock_.Advance(400'000'000);
    id = Again();
  }
  Bring(id, good);  // a coordinator that mends itself is believed
  EXPECT_EQ(Row(1).receipt_status, ReceiptStatus::kCanonical);
}

TEST_F(ReceiptsTest, ABadOneIsAskedForOnlySomeTimes) {
  Enrol();
  int64_t id = Ask(1);
  for (int i = 1; i < kMaxBadReceipts; ++i) {
    Bring(id, "x");
    clock_.Advance(400'000'000);
    id = Again();
  }
  Bring(id, "x");
  EXPECT_EQ(Number("SELECT COUNT(*) FROM outbox"), 0);
}

TEST_F(ReceiptsTest, TheFirstSignerOfALabCoordinatorIsPinned) {
  Enrol();
  Bring(Ask(1), ReceiptFor(coordinator_, 1));
  const TestKey other('o');
  Bring(Ask(2), ReceiptFor(other, 2));
  EXPECT_EQ(Row(2).receipt_status, ReceiptStatus::kBad);
  EXPECT_NE(Row(2).receipt_note.find(coordinator_.public_hex()), std::string::npos);
}

TEST_F(ReceiptsTest, ABadReceiptPinsNoSigner) {
  Enrol();
  Bring(Ask(1), ReceiptFor(TestKey('o'), 1, std::string(64, 'f')));
  clock_.Advance(400'000'000);
  Bring(Again(), ReceiptFor(coordinator_, 1));
  EXPECT_EQ(Row(1).receipt_status, ReceiptStatus::kCanonical);
}

TEST_F(ReceiptsTest, TheConfiguredSignerCountsAlone) {
  settings_.receipt_signer_pubkey = coordinator_.public_hex();
  Reopen();
  Enrol();
  Bring(Ask(1), ReceiptFor(TestKey('o'), 1));
  EXPECT_EQ(Row(1).receipt_status, ReceiptStatus::kBad);
  clock_.Advance(400'000'000);
  Bring(Again(), ReceiptFor(coordinator_, 1));
  EXPECT_EQ(Row(1).receipt_status, ReceiptStatus::kCanonical);
}

TEST_F(ReceiptsTest, ThePublicCoordinatorsReceiptsNeedTheRostersKey) {
  Enrol(std::string(kPublicCoordinator));
  Bring(Ask(1), ReceiptFor(coordinator_, 1));
  EXPECT_EQ(Row(1).receipt_status, ReceiptStatus::kBad);
  EXPECT_NE(Row(1).receipt_note.find(std::string(kPublicSigner)), std::string::npos);
}

TEST_F(ReceiptsTest, TheDigestOfTheEarlyFormCounts) {
  Enrol();
  ResultFields early;
  early.unit_id = "u-1";
  early.worker_pubkey = key_.public_hex();
  early.completed_at = Complete(key_, "asg-1", "u-1").completed_at;
  early.canonical_payload = R"({"answer":1})";
  early.ran_under = "";
  Bring(Ask(1), ReceiptFor(coordinator_, 1, Sha256HexOf(*CanonicalResult(early))));
  EXPECT_EQ(Row(1).receipt_status, ReceiptStatus::kCanonical);
}

TEST_F(ReceiptsTest, NeverIsFinalWithItsReason) {
  Enrol();
  ASSERT_TRUE(hub_->outbox().Settle(Ask(1), ReceiptNever{"quorum_disagreed"}).ok());
  EXPECT_EQ(Row(1).receipt_status, ReceiptStatus::kNone);
  EXPECT_EQ(Row(1).receipt_note, "quorum_disagreed");
  EXPECT_EQ(Status().receipts_none, 1);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM outbox"), 0);
}

TEST_F(ReceiptsTest, NothingOverwritesAGoodOne) {
  Enrol();
  Bring(Ask(1), ReceiptFor(coordinator_, 1));
  for (const ReceiptStatus status : {ReceiptStatus::kBad, ReceiptStatus::kNone}) {
    bool changed = true;
    ASSERT_TRUE(hub_->context()
                    .db
                    .Write([&](Connection& db) -> absl::Status {
                      const absl::StatusOr<bool> marked = MarkReceipt(db, "asg-1", status, "late");
                      changed = marked.value_or(true);
                      return marked.status();
                    })
                    .ok());
    EXPECT_FALSE(changed);
  }
  EXPECT_EQ(Row(1).receipt_status, ReceiptStatus::kCanonical);
}

}  // namespace
}  // namespace auspex::stated
