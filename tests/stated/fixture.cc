// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/stated/fixture.h"

#include <sodium.h>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/crypto/sha256.h"
#include "common/wire/result.h"

namespace auspex::stated {

TestKey::TestKey(char seed) {
  if (sodium_init() < 0) ADD_FAILURE() << "libsodium did not start";
  const std::string seed_octets(crypto_sign_SEEDBYTES, seed);
  secret_.resize(crypto_sign_SECRETKEYBYTES);
  public_octets_.resize(crypto_sign_PUBLICKEYBYTES);
  crypto_sign_seed_keypair(reinterpret_cast<unsigned char*>(public_octets_.data()),
                           reinterpret_cast<unsigned char*>(secret_.data()),
                           reinterpret_cast<const unsigned char*>(seed_octets.data()));
  public_hex_ = HexEncode(public_octets_);
}

std::string TestKey::Sign(std::string_view octets) const {
  std::string signature(crypto_sign_BYTES, '\0');
  crypto_sign_detached(reinterpret_cast<unsigned char*>(signature.data()), nullptr,
                       reinterpret_cast<const unsigned char*>(octets.data()), octets.size(),
                       reinterpret_cast<const unsigned char*>(secret_.data()));
  return signature;
}

UntrustedOffer OfferFields::Untrusted() const {
  return {assignment_id,   experiment_id, unit_id, tenant_id,     experiment_label,
          manifest_sha256, created_at,    payload, schema_version};
}

OfferFields OfferNumber(int n) {
  OfferFields fields;
  fields.assignment_id = Cat("asg-", n);
  fields.unit_id = Cat("u-", n);
  return fields;
}

UntrustedCompletion CompletionFields::Untrusted() const {
  UntrustedCompletion out;
  out.assignment_id = assignment_id;
  out.completed_at = completed_at;
  out.canonical_payload = payload;
  out.ran_under = ran_under;
  out.worker_pubkey = worker_pubkey;
  out.worker_signature = signature;
  out.result_sha256 = digest;
  out.raw_response = raw_response;
  out.raw_signature = raw_signature;
  out.exit_code = exit_code;
  out.schema_version = schema_version;
  out.served_weights = served_weights;
  return out;
}

CompletionFields Complete(const TestKey& key, const std::string& assignment_id,
                          const std::string& unit_id, const std::string& payload) {
  CompletionFields fields;
  fields.assignment_id = assignment_id;
  fields.payload = payload;
  fields.worker_pubkey = key.public_hex();
  ResultFields result;
  result.unit_id = unit_id;
  result.worker_pubkey = key.public_hex();
  result.completed_at = fields.completed_at;
  result.exit_code = 0;
  result.canonical_payload = payload;
  result.ran_under = "strict";
  const std::string octets = *CanonicalResult(result);
  fields.signature = key.Sign(octets);
  fields.digest = Sha256(octets);
  return fields;
}

HubTest::HubTest() { Reopen(); }
HubTest::~HubTest() = default;

void HubTest::Reopen() {
  hub_.reset();
  absl::StatusOr<std::unique_ptr<Hub>> hub = Hub::Open(folder_.path(), clock_, settings_);
  ASSERT_TRUE(hub.ok()) << hub.status();
  hub_ = *std::move(hub);
  // What a runnerd would report: no demand without.
  ASSERT_TRUE(hub_->capabilities().Set(*hub_->CapabilitiesNow()).ok());
}

void HubTest::Enrol(const std::string& base_url) {
  UntrustedEnrolment enrolment;
  enrolment.worker_id = "wkr-1";
  enrolment.public_key_hex = key_.public_hex();
  enrolment.registered_at = "2026-05-23T00:00:00Z";
  enrolment.base_url = base_url;
  const absl::Status status = hub_->enrolment().Record(enrolment);
  ASSERT_TRUE(status.ok()) << status;
}

OfferDecision HubTest::Offer(const OfferFields& fields) {
  absl::StatusOr<OfferDecision> decision = hub_->intake().Offer(fields.Untrusted());
  EXPECT_TRUE(decision.ok()) << decision.status();
  return decision.ok() ? *decision : OfferDecision{};
}

std::optional<WorkItem> HubTest::NextWork(WorkQueue::Session& session) {
  absl::StatusOr<std::optional<WorkItem>> item = session.Next(kNoWait);
  EXPECT_TRUE(item.ok()) << item.status();
  return item.ok() ? *std::move(item) : std::nullopt;
}

std::optional<stated::OutboxItem> HubTest::NextItem(OutboxQueue::Session& session) {
  absl::StatusOr<std::optional<stated::OutboxItem>> item = session.Next(kNoWait);
  EXPECT_TRUE(item.ok()) << item.status();
  return item.ok() ? *std::move(item) : std::nullopt;
}

void HubTest::FinishUnit(WorkQueue::Session& session, int n) {
  const OfferFields fields = OfferNumber(n);
  ASSERT_EQ(Offer(fields).decision, "accepted");
  const std::optional<WorkItem> item = NextWork(session);
  ASSERT_TRUE(item.has_value());
  ASSERT_TRUE(hub_->work().Begin(fields.assignment_id).ok());
  const absl::Status done =
      hub_->work().Complete(Complete(key_, fields.assignment_id, fields.unit_id).Untrusted());
  ASSERT_TRUE(done.ok()) << done;
}

void HubTest::Submit(OutboxQueue::Session& session, int n) {
  const std::optional<stated::OutboxItem> item = NextItem(session);
  ASSERT_TRUE(item.has_value());
  ASSERT_EQ(item->kind, OutboxKind::kResult);
  const std::string result_id = Cat("res-", n);
  ResultAccepted accepted;
  accepted.untrusted_result_id = result_id;
  accepted.untrusted_unit_status_after = "completed";
  accepted.completions_so_far = accepted.replication_target = 2;
  const absl::Status status = hub_->outbox().Settle(item->id, accepted);
  ASSERT_TRUE(status.ok()) << status;
}

std::vector<AuditRow> HubTest::Audit(std::string_view action) {
  AuditFilter filter;
  filter.limit = 10'000;
  filter.action = action;
  absl::StatusOr<std::vector<AuditRow>> rows = ListAudit(hub_->context(), filter);
  EXPECT_TRUE(rows.ok()) << rows.status();
  return rows.ok() ? *std::move(rows) : std::vector<AuditRow>();
}

UnitState HubTest::StateOf(const std::string& assignment) {
  UnitState state = UnitState::kNone;
  const absl::Status status = hub_->context().db.Read([&](Connection& db) -> absl::Status {
    const absl::StatusOr<std::optional<UnitRow>> unit = FindUnit(db, assignment);
    if (unit.ok() && unit->has_value()) state = (*unit)->state;
    return unit.status();
  });
  EXPECT_TRUE(status.ok()) << status;
  return state;
}

StatusReport HubTest::Status() {
  absl::StatusOr<StatusReport> report = hub_->StatusNow();
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? *std::move(report) : StatusReport{};
}

int64_t HubTest::Number(SqlText sql) {
  int64_t number = -1;
  const absl::Status status = hub_->context().db.Read([&](Connection& db) -> absl::Status {
    const absl::StatusOr<int64_t> read = SingleNumber(db, sql);
    if (read.ok()) number = *read;
    return read.status();
  });
  EXPECT_TRUE(status.ok()) << status;
  return number;
}

std::string HubTest::ReceiptFor(const TestKey& coordinator, int n, std::string digest) {
  Receipt receipt;
  receipt.tenant_id = "tenant-a";
  receipt.experiment_id = "label-a";
  receipt.worker_pubkey = key_.public_octets();
  receipt.work_unit_ids = {Cat("u-", n)};
  receipt.window_start = receipt.window_end = "2026-07-19T12:00:05.000001Z";
  receipt.replication_factor = 2;
  receipt.agreeing_workers = 2;
  receipt.method = "identity";
  if (digest.empty()) digest = HexEncode(Complete(key_, Cat("asg-", n), Cat("u-", n)).digest);
  receipt.anchors = {{1, "entry-1", std::string(64, '0')}, {2, "entry-2", digest}};
  const std::string statement = EncodeStatement(Cat("rcpt-", n), EncodeReceiptBody(receipt));
  return EncodeEnvelope(statement, coordinator.public_hex(),
                        [&](std::string_view octets) { return coordinator.Sign(octets); });
}

}  // namespace auspex::stated
