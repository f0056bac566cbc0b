// SPDX-License-Identifier: AGPL-3.0-only
// kill -9 and start again: identity, pin, journal and the memory of submissions are all there; a
// changed file refuses the start.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <set>
#include <thread>

#include "common/crypto/sha256.h"
#include "common/files/files.h"
#include "common/journal/merkle.h"
#include "tests/keyd/keyd_process.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

v1::SignRequestRequest Submission(const std::string& assignment, const std::string& body) {
  v1::SignRequestRequest request;
  request.mutable_submit_result()->set_unit_id("u-1");
  request.mutable_submit_result()->set_assignment_id(assignment);
  request.mutable_submit_result()->set_body_sha256(Sha256(body));
  return request;
}

grpc::StatusCode Sign(const KeydProcess& keyd, const v1::SignRequestRequest& request) {
  v1::SignedRequest out;
  return keyd.request()->SignRequest(Deadline().get(), request, &out).error_code();
}

TEST(DaemonRestart, IdentityPinAndSubmissionsSurviveKill) {
  const ScratchDir home;
  v1::KeyStatus before;
  {
    KeydProcess keyd(home.path());
    ASSERT_TRUE(keyd.ready()) << keyd.log();
    keyd.CreateKey();
    keyd.Enrol();
    ASSERT_EQ(Sign(keyd, Submission("asg-1", "one")), grpc::StatusCode::OK);
    before = keyd.Status();
    EXPECT_EQ(keyd.Stop(SIGKILL), 128 + SIGKILL);
  }
  const KeydProcess keyd(home.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  const v1::KeyStatus after = keyd.Status();
  EXPECT_EQ(after.identity().SerializeAsString(), before.identity().SerializeAsString());
  EXPECT_EQ(after.identity().base_url(), "http://127.0.0.1:8080");
  EXPECT_EQ(after.identity().worker_id(), "wkr-1");
  // Nothing was lost; the start added its checkpoint.
  EXPECT_EQ(after.journal_records(), before.journal_records() + 1);
  CompactTree tree;
  for (const v1::JournalRecord& record : keyd.Journal(0, before.journal_records())) {
    tree.Append(ToDigest(record.leaf_hash()));
  }
  EXPECT_EQ(AsText(tree.Root()), before.journal_root());
  EXPECT_EQ(Sign(keyd, Submission("asg-1", "two")), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(Sign(keyd, Submission("asg-1", "one")), grpc::StatusCode::OK);
}

// Killed while signatures are under way: whatever a caller got is in the journal.
TEST(DaemonRestart, WhatWasReleasedBeforeAKillIsInTheJournal) {
  const ScratchDir home;
  std::mutex mutex;
  std::set<std::string> released;
  {
    KeydProcess keyd(home.path());
    ASSERT_TRUE(keyd.ready()) << keyd.log();
    keyd.CreateKey();
    std::atomic<int> answers{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        const auto stub = keyd.result();
        for (int i = 0; i < 100'000; ++i) {
          v1::SignResultRequest request;
          request.set_unit_id("u-1");
          request.set_assignment_id("asg-" + std::to_string(t) + "-" + std::to_string(i));
          request.set_completed_at("2026-07-19T23:21:50+00:00");
          request.set_canonical_payload("{\"n\":" + std::to_string(t * 100'000 + i) + "}");
          request.set_schema_version(2);
          request.set_ran_under("strict");
          v1::SignResultResponse response;
          if (!stub->SignResult(Deadline().get(), request, &response).ok()) return;
          ++answers;
          std::lock_guard lock(mutex);
          released.insert(response.result_sha256());
        }
      });
    }
    while (answers < 300) std::this_thread::yield();
    keyd.Stop(SIGKILL);
    for (std::thread& thread : threads) thread.join();
  }
  const KeydProcess keyd(home.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  std::set<std::string> recorded;
  for (const v1::JournalRecord& record : keyd.Journal()) recorded.insert(record.digest());
  EXPECT_GE(released.size(), 300u);
  EXPECT_TRUE(std::includes(recorded.begin(), recorded.end(), released.begin(), released.end()));
}

class DaemonDamage : public ::testing::Test {
 protected:
  void SetUp() override {
    KeydProcess keyd(home_.path());
    ASSERT_TRUE(keyd.ready()) << keyd.log();
    keyd.CreateKey();
    keyd.Enrol();
    EXPECT_EQ(keyd.Stop(SIGTERM), 0);
  }
  std::string State(const char* name) const { return home_.path() + "/state/keyd/" + name; }
  void Flip(const char* name, size_t at) const {
    std::string content = *ReadFile(State(name), 1 << 20);
    ASSERT_LT(at, content.size());
    content[at] = static_cast<char>(content[at] ^ 1);
    ASSERT_TRUE(WriteFileAtomically(State(name), content, 0600).ok());
  }
  // Starts keyd, which must refuse with exit code 2 and say `text`.
  void ExpectRefusal(const std::string& text) const {
    KeydProcess keyd(home_.path());
    EXPECT_FALSE(keyd.ready());
    EXPECT_EQ(keyd.WaitForExit(), 2);
    EXPECT_NE(keyd.log().find(text), std::string::npos) << keyd.log();
  }
  ScratchDir home_;
};

TEST_F(DaemonDamage, AChangedKeyFileRefusesTheStartWithARemedy) {
  Flip("key.sealed", 120);
  ExpectRefusal("auspex bootstrap");
}

TEST_F(DaemonDamage, ALostLocalSecretRefusesTheStart) {
  ASSERT_EQ(::unlink(State("seal.key").c_str()), 0);
  ExpectRefusal("seal.key");
}

TEST_F(DaemonDamage, AnEditedEnrolmentRefusesTheStart) {
  ASSERT_TRUE(
      WriteFileAtomically(State("enrolment.toml"), "base_url = \"https://evil.example\"\n", 0600)
          .ok());
  ExpectRefusal("enrolment.toml");
}

TEST(DaemonSeal, APassphraseFileAndACredentialAreUsedWhenGiven) {
  const ScratchDir home, secrets;
  ASSERT_TRUE(WriteFileAtomically(secrets.path() + "/pass", "correct horse battery\n", 0600).ok());
  const std::string variable = "AUSPEX_KEYD_PASSPHRASE_FILE=" + secrets.path() + "/pass";
  {
    KeydProcess keyd(home.path(), {variable});
    ASSERT_TRUE(keyd.ready()) << keyd.log();
    keyd.CreateKey();
    EXPECT_EQ(keyd.Status().seal(), "passphrase");
    keyd.Stop(SIGTERM);
  }
  EXPECT_FALSE(std::filesystem::exists(home.path() + "/state/keyd/seal.key"));
  {
    KeydProcess keyd(home.path());
    EXPECT_FALSE(keyd.ready());
    EXPECT_EQ(keyd.WaitForExit(), 2);
    EXPECT_NE(keyd.log().find("AUSPEX_KEYD_PASSPHRASE_FILE"), std::string::npos) << keyd.log();
  }
  {
    const KeydProcess keyd(home.path(), {variable});
    ASSERT_TRUE(keyd.ready()) << keyd.log();
    EXPECT_TRUE(keyd.Status().identity().has_key());
    v1::DestroyKeyResponse destroyed;
    ASSERT_TRUE(keyd.owner()->DestroyKey(Deadline().get(), {}, &destroyed).ok());
  }
  ASSERT_TRUE(
      WriteFileAtomically(secrets.path() + "/auspex-keyd-seal", std::string(32, 'k'), 0600).ok());
  const std::string credentials = "CREDENTIALS_DIRECTORY=" + secrets.path();
  {
    KeydProcess keyd(home.path(), {variable, credentials});
    ASSERT_TRUE(keyd.ready()) << keyd.log();
    keyd.CreateKey();
    EXPECT_EQ(keyd.Status().seal(), "credential");
    keyd.Stop(SIGTERM);
  }
  const KeydProcess keyd(home.path(), {credentials});
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  EXPECT_TRUE(keyd.Status().identity().has_key());
}

}  // namespace
}  // namespace auspex::keyd
