// SPDX-License-Identifier: AGPL-3.0-only
// Offers: every gate with its audit row and its refusal, the order of the gates, repeats, and
// fields that are not of their kind.
#include "common/base/cat.h"
#include "common/json/reader.h"
#include "tests/stated/fixture.h"

namespace auspex::stated {
namespace {

class GatesTest : public HubTest {
 protected:
  GatesTest() { Enrol(); }
  // Expects that `fields` is refused as `kind`, with one more audit row and a refusal in the outbox
  // that says the same.
  void ExpectRefused(const OfferFields& fields, const std::string& kind) {
    const OfferDecision decision = Offer(fields);
    EXPECT_EQ(decision.decision, kind);
    EXPECT_FALSE(decision.reason.empty());
    EXPECT_EQ(StateOf(fields.assignment_id), UnitState::kRefused);
    const std::vector<AuditRow> rows = Audit(kind);
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0].assignment_id, fields.assignment_id);
    EXPECT_EQ(rows[0].reason, decision.reason);
    const std::unique_ptr<OutboxQueue::Session> session = hub_->outbox().Open();
    const std::optional<stated::OutboxItem> item = NextItem(*session);
    ASSERT_TRUE(item.has_value());
    EXPECT_EQ(item->kind, OutboxKind::kRefusal);
    EXPECT_EQ(item->unit_id, fields.unit_id);
    const absl::StatusOr<JsonValue> body = ReadJson(item->body);
    ASSERT_TRUE(body.ok()) << body.status();
    EXPECT_EQ(*body->FindString("assignment_id"), fields.assignment_id);
    EXPECT_EQ(*body->FindString("kind"), kind);
    EXPECT_EQ(*body->FindString("reason"), decision.reason);
    EXPECT_EQ(body->as_object()->size(), 3u);
  }
};

TEST_F(GatesTest, AcceptsWithOneAuditRow) {
  EXPECT_EQ(Offer(OfferFields{}).decision, "accepted");
  EXPECT_EQ(StateOf("asg-1"), UnitState::kAccepted);
  ASSERT_EQ(Audit("accepted").size(), 1u);
  EXPECT_EQ(Audit("accepted")[0].tenant_id, "tenant-a");
}

TEST_F(GatesTest, ManifestSwap) {
  Offer(OfferNumber(1));
  OfferFields swapped = OfferNumber(2);
  swapped.manifest_sha256 = std::string(64, 'b');
  ExpectRefused(swapped, "refused_manifest_swap");
}

TEST_F(GatesTest, ManifestHashIsComparedWithoutCase) {
  Offer(OfferNumber(1));
  OfferFields upper = OfferNumber(2);
  upper.manifest_sha256 = std::string(64, 'A');
  EXPECT_EQ(Offer(upper).decision, "accepted");
}

TEST_F(GatesTest, PinIsStoredThoughALaterGateRefuses) {
  ASSERT_TRUE(hub_->policy().DenyTenant("tenant-a").ok());
  EXPECT_EQ(Offer(OfferNumber(1)).decision, "refused_tenant_deny");
  ASSERT_TRUE(hub_->policy().ForgetTenant("tenant-a").ok());
  OfferFields swapped = OfferNumber(2);
  swapped.manifest_sha256 = std::string(64, 'b');
  EXPECT_EQ(Offer(swapped).decision, "refused_manifest_swap");
  // The owner can clear it (W-43).
  EXPECT_TRUE(*hub_->policy().ClearPin("exp-1"));
  EXPECT_EQ(Offer(swapped).decision, "accepted");
}

TEST_F(GatesTest, TenantOnDenyList) {
  ASSERT_TRUE(hub_->policy().AllowTenant("tenant-a").ok());
  ASSERT_TRUE(hub_->policy().DenyTenant("tenant-a").ok());
  ExpectRefused(OfferFields{}, "refused_tenant_deny");
}

TEST_F(GatesTest, TenantNotOnAllowList) {
  ASSERT_TRUE(hub_->policy().AllowTenant("tenant-b").ok());
  ExpectRefused(OfferFields{}, "refused_tenant_allow_list_miss");
}

TEST_F(GatesTest, SensitiveContentNeedsConsent) {
  OfferFields fields;
  fields.payload = R"({"sensitive_content_flags":[7,"dual_use"]})";
  ExpectRefused(fields, "refused_sensitive");
}

TEST_F(GatesTest, ConsentLetsSensitiveContentInAndCanBeTakenBack) {
  OfferFields fields;
  fields.payload = R"({"sensitive_content_flags":["dual_use"]})";
  EXPECT_TRUE(*hub_->policy().AcceptExperiment("exp-1"));
  EXPECT_FALSE(*hub_->policy().AcceptExperiment("exp-1"));
  EXPECT_EQ(Offer(fields).decision, "accepted");
  EXPECT_TRUE(*hub_->policy().WithdrawAcceptance("exp-1"));
  fields.assignment_id = "asg-2";
  EXPECT_EQ(Offer(fields).decision, "refused_sensitive");
}

TEST_F(GatesTest, WhatIsNoListOfTextIsNotSensitive) {
  int n = 0;
  for (const char* payload :
       {R"({"sensitive_content_flags":"dual_use"})", R"({"sensitive_content_flags":[]})",
        R"({"sensitive_content_flags":[1,null]})", R"({"x":{"sensitive_content_flags":["a"]}})",
        R"({"note":"\"sensitive_content_flags\""})"}) {
    OfferFields fields = OfferNumber(++n);
    fields.payload = payload;
    EXPECT_EQ(Offer(fields).decision, "accepted") << payload;
  }
}

TEST_F(GatesTest, GatesStandInOrder) {
  // All three would refuse: the pin speaks first, then the lists.
  Offer(OfferNumber(1));
  ASSERT_TRUE(hub_->policy().DenyTenant("tenant-a").ok());
  OfferFields fields = OfferNumber(2);
  fields.payload = R"({"sensitive_content_flags":["dual_use"]})";
  EXPECT_EQ(Offer(fields).decision, "refused_tenant_deny");
  fields = OfferNumber(3);
  fields.payload = R"({"sensitive_content_flags":["dual_use"]})";
  fields.manifest_sha256 = std::string(64, 'b');
  EXPECT_EQ(Offer(fields).decision, "refused_manifest_swap");
}

TEST_F(GatesTest, ARepeatIsKnownInEveryStateThatHoldsTheUnit) {
  const std::unique_ptr<WorkQueue::Session> work = *hub_->work().Open(1);
  Offer(OfferNumber(1));
  EXPECT_EQ(Offer(OfferNumber(1)).decision, "known");  // accepted
  ASSERT_TRUE(NextWork(*work).has_value());
  ASSERT_TRUE(hub_->work().Begin("asg-1").ok());
  EXPECT_EQ(Offer(OfferNumber(1)).decision, "known");  // running
  ASSERT_TRUE(hub_->work().Complete(Complete(key_, "asg-1", "u-1").Untrusted()).ok());
  EXPECT_EQ(Offer(OfferNumber(1)).decision, "known");  // finished
  const std::unique_ptr<OutboxQueue::Session> outbox = hub_->outbox().Open();
  Submit(*outbox, 1);
  EXPECT_EQ(Offer(OfferNumber(1)).decision, "known");  // submitted
  EXPECT_EQ(Audit("accepted").size(), 1u);
}

TEST_F(GatesTest, ARefusedAssignmentStartsAnewAndItsOldRefusalIsDropped) {
  const std::unique_ptr<WorkQueue::Session> work = *hub_->work().Open(1);
  Offer(OfferNumber(1));
  ASSERT_TRUE(NextWork(*work).has_value());
  ASSERT_TRUE(hub_->work().Begin("asg-1").ok());
  ASSERT_TRUE(hub_->work().Refuse("asg-1", "thermal_critical", "hot").ok());
  EXPECT_EQ(Number("SELECT COUNT(*) FROM outbox"), 1);
  EXPECT_EQ(Offer(OfferNumber(1)).decision, "accepted");
  EXPECT_EQ(StateOf("asg-1"), UnitState::kAccepted);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM outbox"), 0);
  EXPECT_TRUE(NextWork(*work).has_value());
}

TEST_F(GatesTest, TheOwnersRefusalStandsWhenTheAssignmentComesBack) {
  Offer(OfferNumber(1));
  EXPECT_EQ(*hub_->work().OwnerRefuse("u-1", "not on this machine"), 1u);
  const OfferDecision again = Offer(OfferNumber(1));
  EXPECT_EQ(again.decision, "executor_refused");
  EXPECT_EQ(again.reason, "not on this machine");
  EXPECT_EQ(Number("SELECT COUNT(*) FROM outbox WHERE kind = 2"), 1);
}

TEST_F(GatesTest, AnOfferClearsACachedHold) {
  ASSERT_TRUE(hub_->contact().PollHeld("pause", "maintenance", "2026-07-19T12:00:00Z").ok());
  EXPECT_EQ(Status().state, "paused_by_operator");
  Offer(OfferFields{});
  EXPECT_EQ(Status().contact.hold_kind, "");
}

TEST_F(GatesTest, TooManyUnitsInHandIsNamed) {
  for (int n = 1; n <= kMaxInHand; ++n) ASSERT_EQ(Offer(OfferNumber(n)).decision, "accepted");
  EXPECT_TRUE(
      absl::IsResourceExhausted(hub_->intake().Offer(OfferNumber(1000).Untrusted()).status()));
}

// A coordinator that hands out work but takes neither results nor refusals.
TEST_F(GatesTest, WhatWaitsToBeSentIsBounded) {
  ASSERT_TRUE(hub_->policy().DenyTenant("tenant-a").ok());
  for (int n = 1; n <= kMaxUnsent; ++n)
    ASSERT_EQ(Offer(OfferNumber(n)).decision, "refused_tenant_deny");
  ASSERT_TRUE(hub_->contact().PollHeld("quarantine", "drift", "").ok());
  const absl::Status more = hub_->intake().Offer(OfferNumber(5000).Untrusted()).status();
  EXPECT_TRUE(absl::IsResourceExhausted(more)) << more;
  EXPECT_EQ(StateOf("asg-5000"), UnitState::kNone);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM outbox"), kMaxUnsent);
  // The offer says that the hold is over; without that nothing could ever go out again.
  EXPECT_EQ(Status().contact.hold_kind, "");
  const std::unique_ptr<OutboxQueue::Session> outbox = hub_->outbox().Open();
  ASSERT_TRUE(hub_->outbox().Settle(NextItem(*outbox)->id, RefusalDone{}).ok());
  EXPECT_EQ(Offer(OfferNumber(5000)).decision, "refused_tenant_deny");
}

TEST_F(HubTest, AnOfferBeforeEnrolmentIsRefused) {
  EXPECT_TRUE(absl::IsFailedPrecondition(hub_->intake().Offer(OfferFields{}.Untrusted()).status()));
}

// Text that must not become a path, SQL, or terminal output.
const std::vector<std::string>& Hostile() {
  static const std::vector<std::string> texts = {"",
                                                 ".",
                                                 "..",
                                                 "../actions/retire?x=",
                                                 "a/b",
                                                 "a\\b",
                                                 "a b",
                                                 "a\nb",
                                                 std::string("a\0b", 3),
                                                 "\x1b[2J",
                                                 "x'; DROP TABLE units; --",
                                                 "%2e%2e",
                                                 "a#b",
                                                 "a?b",
                                                 "\xff\xfe",
                                                 "\xe2\x80\xae",
                                                 std::string(129, 'a'),
                                                 std::string(100'000, 'a')};
  return texts;
}

TEST_F(GatesTest, HostileTextInAnyFieldIsNamedAndChangesNothing) {
  const std::vector<std::string OfferFields::*> members = {
      &OfferFields::assignment_id, &OfferFields::experiment_id,    &OfferFields::unit_id,
      &OfferFields::tenant_id,     &OfferFields::experiment_label, &OfferFields::manifest_sha256,
      &OfferFields::created_at,    &OfferFields::payload};
  for (const auto member : members) {
    for (const std::string& text : Hostile()) {
      OfferFields fields;
      fields.*member = text;
      const absl::Status status = hub_->intake().Offer(fields.Untrusted()).status();
      EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
      for (const char c : std::string(status.message()))
        EXPECT_TRUE(c >= 0x20 && c < 0x7f) << status;
    }
  }
  EXPECT_EQ(Number("SELECT COUNT(*) FROM units"), 0);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM audit"), 0);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM manifest_pins"), 0);
}

TEST_F(GatesTest, PayloadMustBeOneCanonicalObjectWithinItsBound) {
  for (const std::string& payload :
       {std::string("[1]"), std::string("{\"b\":1,\"a\":2}"), std::string("{ }"),
        std::string("{}{}"), std::string("{\"a\":1.50}"), std::string(200, '['),
        Cat("{\"a\":\"", std::string(kMaxPayloadOctets, 'x'), "\"}")}) {
    OfferFields fields;
    fields.payload = payload;
    EXPECT_TRUE(absl::IsInvalidArgument(hub_->intake().Offer(fields.Untrusted()).status()))
        << payload.substr(0, 40);
  }
}

TEST_F(GatesTest, HostileTextFromTheOwnerIsRefusedToo) {
  for (const std::string& text : Hostile()) {
    EXPECT_FALSE(hub_->policy().AllowTenant(text).ok());
    EXPECT_FALSE(hub_->policy().DenyTenant(text).ok());
    EXPECT_FALSE(hub_->policy().AcceptExperiment(text).ok());
    EXPECT_FALSE(hub_->work().OwnerRefuse(text, "x").ok());
    EXPECT_FALSE(hub_->policy().RecordAbort(text, "aborted_sigterm", "x").ok());
    EXPECT_FALSE(hub_->policy().RecordAbort("u-1", text, "x").ok());
    EXPECT_FALSE(hub_->work().Begin(text).ok());
    EXPECT_FALSE(hub_->work().Refuse(text, "runner_failed", "x").ok());
    EXPECT_FALSE(hub_->packages().Get(text, std::chrono::seconds(0), [] { return true; }).ok());
    EXPECT_FALSE(hub_->packages().Drop(text).ok());
    EXPECT_FALSE(GetResult(hub_->context(), text).ok());
  }
}

TEST_F(GatesTest, ReasonsAreCleanedBeforeTheyAreStored) {
  Offer(OfferNumber(1));
  EXPECT_EQ(*hub_->work().OwnerRefuse("u-1", "a\x1b[2Jb\nlevel=info forged\xff"), 1u);
  const std::string reason = Audit("refused_manual")[0].reason;
  EXPECT_EQ(reason.find('\x1b'), std::string::npos);
  EXPECT_EQ(reason.find('\n'), std::string::npos);
  const std::unique_ptr<WorkQueue::Session> work = *hub_->work().Open(1);
  Offer(OfferNumber(2));
  ASSERT_TRUE(hub_->work().Refuse("asg-2", "runner_failed", std::string(50'000, 'r')).ok());
  EXPECT_EQ(Audit("runner_failed")[0].reason.size(), 2048u);
}

}  // namespace
}  // namespace auspex::stated
