// SPDX-License-Identifier: AGPL-3.0-only
// Signing over the sockets of the real daemon: what comes back verifies, what must not be signed is
// not, and the journal shows both.
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "common/base/encoding.h"
#include "common/crypto/ed25519.h"
#include "common/crypto/sha256.h"
#include "common/journal/merkle.h"
#include "common/wire/http_signature.h"
#include "common/wire/result.h"
#include "tests/keyd/keyd_process.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

class DaemonSigning : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(keyd_.ready()) << keyd_.log();
    key_ = keyd_.CreateKey().public_key_hex();
    keyd_.Enrol();
  }
  grpc::Status Sign(const v1::SignRequestRequest& request) {
    signed_.Clear();
    return keyd_.request()->SignRequest(Deadline().get(), request, &signed_);
  }
  // True when the answer verifies over what its own header lines say, with `path` and `method` as
  // given here.
  bool Verifies(const std::string& method, const std::string& path) const {
    const std::string& input = signed_.signature_input();
    const size_t at = input.find(";created=") + 9;
    SignedParts parts;
    parts.method = method;
    parts.path = path;
    parts.authority = "127.0.0.1:8080";
    if (!signed_.content_digest().empty()) parts.content_digest = signed_.content_digest();
    parts.created = std::stoll(input.substr(at));
    parts.keyid = key_;
    const auto signature = Base64Decode(
        std::string_view(signed_.signature()).substr(6, signed_.signature().size() - 7));
    return SignatureInputHeader(parts) == input && signature &&
           Ed25519Verify(*HexDecode(key_), SignatureBase(parts), *signature);
  }

  ScratchDir home_;
  KeydProcess keyd_{home_.path()};
  std::string key_;
  v1::SignedRequest signed_;
};

TEST_F(DaemonSigning, EveryIntentVerifies) {
  const std::string body = Sha256("{}");
  const std::string worker = "/api/v0/workers/wkr-1";
  v1::SignRequestRequest r;
  const auto check = [&](const char* method, const std::string& path) {
    const grpc::Status status = Sign(r);
    ASSERT_TRUE(status.ok()) << path << ": " << status.error_message();
    EXPECT_EQ(signed_.method(), method);
    EXPECT_EQ(signed_.path(), path);
    EXPECT_TRUE(Verifies(method, path)) << path;
    r.Clear();
  };
  r.mutable_heartbeat()->set_body_sha256(body);
  check("POST", worker + "/heartbeat");
  r.mutable_poll();
  check("GET", worker + "/assignments");
  auto* refuse = r.mutable_refuse();
  refuse->set_unit_id("u-1");
  refuse->set_assignment_id("asg-1");
  refuse->set_body_sha256(body);
  check("POST", worker + "/assignments/u-1/refuse");
  auto* submit = r.mutable_submit_result();
  submit->set_unit_id("u-1");
  submit->set_assignment_id("asg-1");
  submit->set_body_sha256(body);
  check("POST", worker + "/assignments/u-1/result");
  r.mutable_fetch_receipt()->set_result_id("res-1");
  check("GET", worker + "/results/res-1/canonical-receipt");
  r.mutable_fetch_package()->set_manifest_sha256(std::string(64, 'A'));
  check("GET", "/api/v0/packages/by-manifest/" + std::string(64, 'a'));
  keyd_.OpenGrant(v1::OWNER_ACT_UPGRADE);
  r.mutable_upgrade()->set_body_sha256(body);
  check("POST", worker + "/upgrade");
  keyd_.OpenGrant(v1::OWNER_ACT_RETIRE);
  r.mutable_retire();
  check("POST", worker + "/actions/retire");
  keyd_.OpenGrant(v1::OWNER_ACT_UNBIND);
  r.mutable_unbind();
  check("POST", worker + "/actions/unbind");
  r.mutable_get_attribution()->set_account_id("acct-1");
  check("GET", "/api/v0/accounts/acct-1/attribution");
  r.mutable_put_attribution()->set_account_id("acct-1");
  r.mutable_put_attribution()->set_body_sha256(body);
  check("PUT", "/api/v0/accounts/acct-1/attribution");
  r.mutable_prestage();
  check("GET", worker + "/prestage");
  r.mutable_supported_models();
  check("GET", "/api/v0/models/supported");
  r.mutable_serve_recovered()->set_body_sha256(body);
  check("POST", worker + "/serve-recovered");
}

TEST_F(DaemonSigning, ResultsVerifyAndAreOnRecordWithTheirPeer) {
  v1::SignResultRequest request;
  request.set_unit_id("u-1");
  request.set_assignment_id("asg-1");
  request.set_completed_at("2026-07-19T23:21:50.000123+00:00");
  request.set_canonical_payload(R"({"n":1})");
  request.set_schema_version(2);
  request.set_ran_under("strict");
  v1::SignResultResponse response;
  const grpc::Status status = keyd_.result()->SignResult(Deadline().get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ResultFields fields;
  fields.unit_id = "u-1";
  fields.worker_pubkey = key_;
  fields.completed_at = request.completed_at();
  fields.canonical_payload = R"({"n":1})";
  fields.ran_under = "strict";
  const std::string octets = *CanonicalResult(fields);
  EXPECT_EQ(response.worker_pubkey(), key_);
  EXPECT_EQ(response.result_sha256(), Sha256(octets));
  EXPECT_TRUE(Ed25519Verify(*HexDecode(key_), octets, response.signature()));
  const v1::JournalRecord record = keyd_.Journal(response.journal_sequence(), 1).at(0);
  EXPECT_EQ(record.role(), "result");
  EXPECT_EQ(record.intent(), "sign_result");
  EXPECT_EQ(record.subject(), "asg-1");
  EXPECT_EQ(record.outcome(), "signed");
  EXPECT_EQ(record.digest(), Sha256(octets));
  EXPECT_EQ(record.peer_pid(), static_cast<uint32_t>(::getpid()));
  EXPECT_EQ(record.peer_uid(), ::getuid());
}

TEST_F(DaemonSigning, AnOwnersActNeedsAGrantEachTime) {
  v1::SignRequestRequest retire;
  retire.mutable_retire();
  EXPECT_EQ(Sign(retire).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  keyd_.OpenGrant(v1::OWNER_ACT_RETIRE);
  EXPECT_TRUE(Sign(retire).ok());
  EXPECT_EQ(Sign(retire).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  const auto records = keyd_.Journal();
  ASSERT_GE(records.size(), 4u);
  EXPECT_EQ(records.back().intent(), "retire");
  EXPECT_NE(records.back().cause().find("no grant"), std::string::npos);
  EXPECT_EQ(records[records.size() - 3].intent(), "open_grant");
}

TEST_F(DaemonSigning, ABadFieldIsNamedToTheCaller) {
  v1::SignRequestRequest request;
  request.mutable_fetch_receipt()->set_result_id("../../etc");
  const grpc::Status status = Sign(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message().rfind("result_id:", 0), 0u) << status.error_message();
  v1::SignRequestRequest empty;
  EXPECT_EQ(Sign(empty).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(keyd_.Status().refusals(), 2u);
}

TEST_F(DaemonSigning, ManyAtOnceAllVerifyAndTheJournalIsWhole) {
  constexpr int kThreads = 8, kEach = 25;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const auto stub = keyd_.result();
      for (int i = 0; i < kEach; ++i) {
        v1::SignRawTextRequest request;
        request.set_unit_id("u-1");
        request.set_assignment_id("asg-1");
        request.set_raw_sha256(Sha256(std::to_string(t * kEach + i)));
        v1::SignRawTextResponse response;
        ASSERT_TRUE(stub->SignRawText(Deadline().get(), request, &response).ok());
        const std::string octets =
            CanonicalRawTextOfDigest("u-1", key_, HexEncode(request.raw_sha256()));
        ASSERT_TRUE(Ed25519Verify(*HexDecode(key_), octets, response.signature()));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const v1::KeyStatus status = keyd_.Status();
  EXPECT_EQ(status.signatures(), static_cast<uint64_t>(kThreads * kEach));
  const auto records = keyd_.Journal();
  ASSERT_EQ(records.size(), status.journal_records());
  for (size_t i = 0; i < records.size(); ++i) EXPECT_EQ(records[i].sequence(), i + 1);
  CompactTree tree;
  for (const v1::JournalRecord& record : records) tree.Append(ToDigest(record.leaf_hash()));
  EXPECT_EQ(AsText(tree.Root()), status.journal_root());
}

TEST(DaemonStart, TestsItselfBeforeItServes) {
  const ScratchDir home;
  const KeydProcess keyd(home.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  const size_t tested = keyd.log().find("event=self_test_passed");
  ASSERT_NE(tested, std::string::npos) << keyd.log();
  EXPECT_LT(tested, keyd.log().find("event=serving"));
}

TEST(DaemonWithoutKey, ServesAndSaysWhatToDo) {
  const ScratchDir home;
  const KeydProcess keyd(home.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  v1::SignRequestRequest poll;
  poll.mutable_poll();
  v1::SignedRequest out;
  grpc::Status status = keyd.request()->SignRequest(Deadline().get(), poll, &out);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(), "no key: run `auspex bootstrap`");
  EXPECT_FALSE(keyd.Status().identity().has_key());
  keyd.CreateKey();
  status = keyd.request()->SignRequest(Deadline().get(), poll, &out);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_NE(status.error_message().find("no enrolment"), std::string::npos);
  v1::KeyIdentity second;
  EXPECT_EQ(keyd.owner()->CreateKey(Deadline().get(), {}, &second).error_code(),
            grpc::StatusCode::ALREADY_EXISTS);
  v1::DestroyKeyResponse destroyed;
  ASSERT_TRUE(keyd.owner()->DestroyKey(Deadline().get(), {}, &destroyed).ok());
  EXPECT_TRUE(destroyed.existed());
  EXPECT_FALSE(keyd.Status().identity().has_key());
  EXPECT_GT(keyd.Status().journal_records(), 0u);
}

}  // namespace
}  // namespace auspex::keyd
