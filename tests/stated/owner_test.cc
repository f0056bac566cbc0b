// SPDX-License-Identifier: AGPL-3.0-only
// Identity, contact, status, capabilities, listings, retention, forgetting.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "common/base/cat.h"
#include "stated/retention.h"
#include "tests/stated/fixture.h"

namespace auspex::stated {
namespace {

TEST_F(HubTest, EnrolmentIsStoredOnce) {
  Enrol();
  Enrol();  // the same again is fine
  UntrustedEnrolment other;
  other.worker_id = "wkr-2";
  other.public_key_hex = key_.public_hex();
  other.registered_at = "2026-05-23T00:00:00Z";
  other.base_url = "https://lab.example";
  EXPECT_TRUE(absl::IsAlreadyExists(hub_->enrolment().Record(other)));
  const Identity identity = **hub_->enrolment().Get();
  EXPECT_EQ(identity.worker_id, "wkr-1");
  EXPECT_EQ(identity.enrolled_at, 1'779'494'400'000'000);
}

TEST_F(HubTest, EnrolmentRefusesFieldsThatAreNotOfTheirKind) {
  UntrustedEnrolment good;
  const std::string key = key_.public_hex();
  good.worker_id = "wkr-1";
  good.public_key_hex = key;
  good.registered_at = "2026-05-23T00:00:00Z";
  good.base_url = "https://lab.example";
  for (const std::string_view text : {"", "a/b", "..", "\x1b[2J", "http://user:pw@host"}) {
    for (auto member : {&UntrustedEnrolment::worker_id, &UntrustedEnrolment::public_key_hex,
                        &UntrustedEnrolment::registered_at, &UntrustedEnrolment::base_url}) {
      UntrustedEnrolment bad = good;
      bad.*member = text;
      EXPECT_TRUE(absl::IsInvalidArgument(hub_->enrolment().Record(bad))) << text;
    }
  }
  UntrustedEnrolment tier = good;
  tier.trust_tier = 4;
  EXPECT_TRUE(absl::IsInvalidArgument(hub_->enrolment().Record(tier)));
  UntrustedEnrolment plain = good;
  plain.base_url = "http://coordinator.example";
  EXPECT_TRUE(absl::IsInvalidArgument(hub_->enrolment().Record(plain)));
  EXPECT_FALSE(hub_->enrolment().Get()->has_value());
}

TEST_F(HubTest, BindingIsStoredAndClearedAsAWhole) {
  UntrustedBinding binding;
  binding.account_id = "acct-1";
  binding.idp = "github";
  binding.bound_at = "2026-05-24T00:00:00Z";
  binding.trust_tier = 1;
  EXPECT_TRUE(absl::IsFailedPrecondition(hub_->enrolment().RecordBinding(binding)));
  Enrol();
  ASSERT_TRUE(hub_->enrolment().RecordBinding(binding).ok());
  EXPECT_EQ((**hub_->enrolment().Get()).account_id, "acct-1");
  EXPECT_EQ((**hub_->enrolment().Get()).trust_tier, 1);
  UntrustedBinding bad = binding;
  bad.idp = "\x1b[2J";
  EXPECT_TRUE(absl::IsInvalidArgument(hub_->enrolment().RecordBinding(bad)));
  ASSERT_TRUE(hub_->enrolment().RecordBinding(UntrustedBinding{}).ok());
  EXPECT_EQ((**hub_->enrolment().Get()).account_id, "");
  EXPECT_EQ((**hub_->enrolment().Get()).trust_tier, 0);
}

TEST_F(HubTest, StatusNamesTheFirstReasonThatMatches) {
  EXPECT_EQ(Status().state, "not_enrolled");
  Enrol();
  EXPECT_EQ(Status().state, "offline");
  ASSERT_TRUE(hub_->contact().HeartbeatOk(0, std::nullopt).ok());
  EXPECT_EQ(Status().state, "no_runner");
  const std::unique_ptr<WorkQueue::Session> work = *hub_->work().Open(1);
  ASSERT_TRUE(hub_->contact().PollWithoutWork("between_rounds").ok());
  EXPECT_EQ(Status().state, "idle");
  EXPECT_EQ(Status().state_reason, "between_rounds");
  Offer(OfferNumber(1));
  ASSERT_TRUE(NextWork(*work).has_value());
  ASSERT_TRUE(hub_->work().Begin("asg-1").ok());
  EXPECT_EQ(Status().state, "running");
  ASSERT_TRUE(hub_->contact().HeartbeatFailed("connection refused").ok());
  clock_.Advance(180'000'000);
  EXPECT_EQ(Status().state, "offline");
  hub_->NetdConnected(true);
  EXPECT_EQ(Status().state_reason, "connection refused");
  ASSERT_TRUE(
      hub_->capabilities().Set(R"({"thermal":{"current_temp_c":90.5,"state":"critical"}})").ok());
  EXPECT_EQ(Status().state, "overheating");
  ASSERT_TRUE(hub_->policy().SetSelfPause(true).ok());
  EXPECT_EQ(Status().state, "self_paused");
  ASSERT_TRUE(hub_->contact().PollHeld("pause", "maintenance", "").ok());
  EXPECT_EQ(Status().state, "paused_by_operator");
  ASSERT_TRUE(hub_->contact().PollHeld("quarantine", "drift", "2026-07-19T12:00:00Z").ok());
  EXPECT_EQ(Status().state, "quarantined");
  EXPECT_EQ(Status().state_reason, "drift");
}

// What the machine cannot bear is one word in status, and no more work is asked for meanwhile.
TEST_F(HubTest, AStrainIsTheStateAndNothingIsAskedFor) {
  Enrol();
  ASSERT_TRUE(hub_->contact().HeartbeatOk(0, std::nullopt).ok());
  std::unique_ptr<WorkQueue::Session> work = *hub_->work().Open(2);
  Offer(OfferNumber(1));
  ASSERT_TRUE(NextWork(*work).has_value());
  ASSERT_TRUE(hub_->work().Begin("asg-1").ok());
  EXPECT_EQ(hub_->DemandNow()->free_slots, 1u);
  for (const char* word : {"load", "memory", "disk"}) {
    EXPECT_TRUE(*hub_->condition().Set({word, "figures\x1b[2J and a bound", 1, {}, {}}));
    EXPECT_EQ(Status().state, word);
    EXPECT_EQ(Status().state_reason.find('\x1b'), std::string::npos);
    EXPECT_EQ(Status().condition.frozen, 1u);
    EXPECT_EQ(hub_->DemandNow()->reason, word);
    EXPECT_EQ(hub_->DemandNow()->free_slots, 0u);
  }
  EXPECT_TRUE(*hub_->condition().Set({"hot", "90.0 C", 0, {}, {}}));
  EXPECT_EQ(Status().state, "overheating");
  EXPECT_FALSE(*hub_->condition().Set({"hot", "90.0 C", 0, {}, {}})) << "the same again";
  // The owner's pause comes first.
  ASSERT_TRUE(hub_->policy().SetSelfPause(true).ok());
  EXPECT_EQ(Status().state, "self_paused");
  EXPECT_EQ(hub_->DemandNow()->reason, "self_paused");
  ASSERT_TRUE(hub_->policy().SetSelfPause(false).ok());
  // What a runnerd said that is gone counts no more.
  work.reset();
  EXPECT_EQ(Status().state, "no_runner");
  work = *hub_->work().Open(2);
  EXPECT_TRUE(*hub_->condition().Set({}));
  EXPECT_EQ(Status().state, "idle");
  EXPECT_EQ(hub_->DemandNow()->free_slots, 1u);
}

TEST_F(HubTest, AConditionOfUnknownWordsIsRefusedByName) {
  for (const UntrustedCondition& bad : std::vector<UntrustedCondition>{
           {"tired", "", 0, {}, {}},
           {"", "", 0, {"/etc/shadow"}, {}},
           {"", "", 0, {"/dev/../etc/shadow"}, {}},
           {"", "", 0, {"/dev/a\nb"}, {}},
           {"", "", 0, std::vector<std::string>(65, "/dev/a"), {}},
           {"", "", 0, {}, {"a/b"}},
       }) {
    EXPECT_TRUE(absl::IsInvalidArgument(hub_->condition().Set(bad).status()));
  }
  EXPECT_EQ(hub_->condition().Get(), Condition{});
}

TEST_F(HubTest, AWorkerWhoseCallsAllFailIsOfflineAtOnce) {
  Enrol();
  ASSERT_TRUE(hub_->contact().HeartbeatOk(0, std::nullopt).ok());
  const std::unique_ptr<WorkQueue::Session> work = *hub_->work().Open(1);
  ASSERT_TRUE(hub_->contact().PollWithoutWork("no_pending_work").ok());
  ASSERT_TRUE(hub_->contact().PollFailed("connection refused").ok());
  EXPECT_EQ(Status().state, "idle") << "one call that failed is no outage";
  ASSERT_TRUE(hub_->contact().HeartbeatFailed("connection refused").ok());
  EXPECT_EQ(Status().state, "offline");
  EXPECT_EQ(Status().state_reason, "connection refused");
  ASSERT_TRUE(hub_->contact().HeartbeatOk(0, std::nullopt).ok());
  EXPECT_EQ(Status().state, "idle");
}

TEST_F(HubTest, OfflineGoesByAClockThatDoesNotJump) {
  Enrol();
  ASSERT_TRUE(hub_->contact().HeartbeatOk(0, std::nullopt).ok());
  clock_.Jump(10'000'000'000);
  EXPECT_EQ(Status().state, "no_runner");
  clock_.Jump(-20'000'000'000);
  EXPECT_EQ(Status().state, "no_runner");
  clock_.Advance(180'000'000);
  EXPECT_EQ(Status().state, "offline");
}

TEST_F(HubTest, HeartbeatStoresTierAndCleanedNews) {
  Enrol();
  UntrustedRelease release;
  const std::string headline = "new\x1b[2J " + std::string(2000, 'h');
  release.version = "0.3.0";
  release.headline = headline;
  release.release_url = "javascript:alert(1)";
  ASSERT_TRUE(hub_->contact().HeartbeatOk(2, release).ok());
  const StatusReport status = Status();
  EXPECT_EQ(status.identity->trust_tier, 2);
  EXPECT_EQ(status.contact.release_version, "0.3.0");
  EXPECT_LE(status.contact.release_headline.size(), 500u);
  EXPECT_EQ(status.contact.release_headline.find('\x1b'), std::string::npos);
  EXPECT_EQ(status.contact.release_url, "");
  EXPECT_TRUE(absl::IsInvalidArgument(hub_->contact().HeartbeatOk(4, std::nullopt)));
  EXPECT_TRUE(absl::IsInvalidArgument(hub_->contact().PollHeld("other", "", "")));
}

TEST_F(HubTest, CapabilitiesCarryThePauseExactlyWhenPaused) {
  Enrol();
  EXPECT_NE(hub_->CapabilitiesNow()->find("\"os\":\"linux\""), std::string::npos);
  ASSERT_TRUE(hub_->capabilities().Set(R"({"cpu_count":2,"self_paused":true})").ok());
  EXPECT_EQ(*hub_->CapabilitiesNow(), R"({"cpu_count":2})");
  ASSERT_TRUE(hub_->policy().SetSelfPause(true).ok());
  EXPECT_EQ(*hub_->CapabilitiesNow(), R"({"cpu_count":2,"self_paused":true})");
  EXPECT_TRUE(absl::IsInvalidArgument(hub_->capabilities().Set("[]")));
  EXPECT_TRUE(absl::IsInvalidArgument(hub_->capabilities().Set(R"({ "a":1})")));
  EXPECT_FALSE(hub_->capabilities().Set(Cat("{\"a\":\"", std::string(70'000, 'x'), "\"}")).ok());
  EXPECT_EQ(*hub_->CapabilitiesNow(), R"({"cpu_count":2,"self_paused":true})");
}

TEST_F(HubTest, TenantListsCanBeUndone) {
  EXPECT_TRUE(*hub_->policy().AllowTenant("tenant-a"));
  EXPECT_FALSE(*hub_->policy().AllowTenant("tenant-a"));
  EXPECT_TRUE(*hub_->policy().DenyTenant("tenant-a"));
  TenantLists lists = *ListTenants(hub_->context());
  EXPECT_EQ(lists.allowed, std::vector<std::string>{"tenant-a"});
  EXPECT_EQ(lists.denied, std::vector<std::string>{"tenant-a"});
  EXPECT_TRUE(*hub_->policy().ForgetTenant("tenant-a"));
  EXPECT_FALSE(*hub_->policy().ForgetTenant("tenant-a"));
  lists = *ListTenants(hub_->context());
  EXPECT_TRUE(lists.allowed.empty() && lists.denied.empty());
}

TEST_F(HubTest, AuditFiltersByTimeUnitAndAction) {
  Enrol();
  Offer(OfferNumber(1));
  clock_.Advance(1'000'000);
  const int64_t since = clock_.NowMicros();
  Offer(OfferNumber(2));
  AuditFilter filter;
  filter.since = since;
  EXPECT_EQ(ListAudit(hub_->context(), filter)->size(), 1u);
  filter = {};
  filter.unit_id = "u-1";
  EXPECT_EQ(ListAudit(hub_->context(), filter)->size(), 1u);
  filter.action = "submitted";
  EXPECT_EQ(ListAudit(hub_->context(), filter)->size(), 0u);
  filter = {};
  filter.limit = 1;
  ASSERT_EQ(ListAudit(hub_->context(), filter)->size(), 1u);
  EXPECT_EQ((*ListAudit(hub_->context(), filter))[0].unit_id, "u-2");
}

TEST_F(HubTest, UnitsAndResultsAreListedNewestFirst) {
  Enrol();
  const std::unique_ptr<WorkQueue::Session> work = *hub_->work().Open(1);
  const std::unique_ptr<OutboxQueue::Session> outbox = hub_->outbox().Open();
  for (int n = 1; n <= 3; ++n) {
    FinishUnit(*work, n);
    Submit(*outbox, n);
    clock_.Advance(1);
  }
  Offer(OfferNumber(4));
  const std::vector<ListedUnit> units = *ListUnits(hub_->context(), true, 0);
  ASSERT_EQ(units.size(), 4u);
  EXPECT_EQ(units[0].unit.unit_id, "u-4");
  const std::vector<ResultRow> results = *ListResults(hub_->context(), ResultFilter{});
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[0].result_id, "res-3");
  ResultFilter other;
  other.tenant_id = "tenant-b";
  EXPECT_TRUE(ListResults(hub_->context(), other)->empty());
  EXPECT_EQ(GetResult(hub_->context(), "u-2")->result_id, "res-2");
  EXPECT_TRUE(absl::IsNotFound(GetResult(hub_->context(), "res-9").status()));
}

TEST_F(HubTest, AResultIsNamedOnceForTwoAcceptedUnitsOfOneExperiment) {
  Enrol();
  const std::unique_ptr<WorkQueue::Session> work = *hub_->work().Open(1);
  const std::unique_ptr<OutboxQueue::Session> outbox = hub_->outbox().Open();
  for (int n = 1; n <= 2; ++n) {
    FinishUnit(*work, n);
    Submit(*outbox, n);
  }
  EXPECT_EQ(Status().experiments, 1);  // W-51
  EXPECT_EQ(Status().results_submitted, 2);
}

TEST_F(HubTest, RetentionKeepsTheNewestAndAllThatIsOpen) {
  settings_.keep_results = 3;
  settings_.keep_units = 3;
  settings_.keep_audit = 5;
  Reopen();
  Enrol();
  const std::unique_ptr<WorkQueue::Session> work = *hub_->work().Open(1);
  const std::unique_ptr<OutboxQueue::Session> outbox = hub_->outbox().Open();
  for (int n = 1; n <= 10; ++n) {
    FinishUnit(*work, n);
    Submit(*outbox, n);
  }
  // Receipts are awaited: nothing of the results may go.
  ASSERT_TRUE(PruneAll(hub_->context()).ok());
  EXPECT_EQ(Number("SELECT COUNT(*) FROM results"), 10);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM audit"), 5);
  clock_.Advance(1'000'000);
  for (int n = 1; n <= 9; ++n) {
    const std::optional<stated::OutboxItem> item = NextItem(*outbox);
    ASSERT_TRUE(item.has_value());
    ASSERT_TRUE(hub_->outbox().Settle(item->id, ReceiptNever{"non_consensus"}).ok());
  }
  Offer(OfferNumber(11));
  ASSERT_TRUE(PruneAll(hub_->context()).ok());
  EXPECT_EQ(Number("SELECT COUNT(*) FROM results"), 3);
  EXPECT_EQ(StateOf("asg-11"), UnitState::kAccepted);
  EXPECT_EQ(StateOf("asg-10"), UnitState::kSubmitted);  // its receipt is still awaited
  EXPECT_EQ(StateOf("asg-1"), UnitState::kNone);
  EXPECT_EQ(Status().results_submitted, 10);
  EXPECT_EQ(Status().receipts_none, 9);
}

TEST_F(HubTest, PayloadsAreBoundedInOctets) {
  settings_.keep_payload_octets = 30;
  Reopen();
  Enrol();
  const std::unique_ptr<WorkQueue::Session> work = *hub_->work().Open(1);
  const std::unique_ptr<OutboxQueue::Session> outbox = hub_->outbox().Open();
  for (int n = 1; n <= 5; ++n) {
    FinishUnit(*work, n);  // 12 octets each
    Submit(*outbox, n);
  }
  FinishUnit(*work, 6);  // not submitted yet: it stays whatever the bound says
  // The receipts are awaited, and may never come.
  ASSERT_TRUE(PruneAll(hub_->context()).ok());
  EXPECT_EQ(Number("SELECT COUNT(*) FROM results WHERE payload IS NOT NULL"), 2);
  EXPECT_TRUE(GetResult(hub_->context(), "res-1")->canonical_payload.empty());
  EXPECT_FALSE(GetResult(hub_->context(), "res-5")->canonical_payload.empty());
  EXPECT_EQ(Number("SELECT COUNT(*) FROM results WHERE payload IS NULL AND receipt_status = 0"), 0);
}

TEST_F(HubTest, ForgetLeavesNothingAndStreamsGoOn) {
  Enrol();
  const std::unique_ptr<WorkQueue::Session> work = *hub_->work().Open(2);
  const std::unique_ptr<OutboxQueue::Session> outbox = hub_->outbox().Open();
  FinishUnit(*work, 1);
  const int64_t old_item = NextItem(*outbox)->id;
  Offer(OfferNumber(2));
  ASSERT_TRUE(NextWork(*work).has_value());
  ASSERT_TRUE(hub_->work().Begin("asg-2").ok());
  clock_.Advance(1000);
  ASSERT_TRUE(hub_->Forget().ok());
  EXPECT_EQ(Status().state, "not_enrolled");
  EXPECT_EQ(hub_->DemandNow()->reason, "not_enrolled");
  EXPECT_EQ(std::get<EndUnit>(*NextWork(*work)).assignment_id, "asg-2");
  EXPECT_TRUE(absl::IsNotFound(hub_->work().Complete(Complete(key_, "asg-2", "u-2").Untrusted())));
  EXPECT_FALSE(NextItem(*outbox).has_value());
  EXPECT_EQ(Number("SELECT COUNT(*) FROM units") + Number("SELECT COUNT(*) FROM audit") +
                Number("SELECT COUNT(*) FROM manifest_pins"),
            0);
  // A new life on the same streams; numbers of the outbox are not used again.
  Enrol("https://other.example");
  FinishUnit(*work, 1);
  const std::optional<stated::OutboxItem> item = NextItem(*outbox);
  ASSERT_TRUE(item.has_value());
  EXPECT_GT(item->id, old_item);
  ASSERT_TRUE(hub_->outbox().Settle(old_item, Terminal{"late", ""}).ok());
  EXPECT_EQ(StateOf("asg-1"), UnitState::kFinished);
}

}  // namespace
}  // namespace auspex::stated
