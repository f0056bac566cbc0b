// SPDX-License-Identifier: AGPL-3.0-only
// The boundary's rules on the real program: grants without, with, after, twice, for the wrong act or
// worker and across a restart; equivocation around a kill; rates and their configuration;
// a clock that is behind the last request of the journal.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "common/crypto/sha256.h"
#include "keyd/journal_start.h"
#include "tests/keyd/keyd_process.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

using grpc::StatusCode;

v1::SignRequestRequest Retire() {
  v1::SignRequestRequest request;
  request.mutable_retire();
  return request;
}

v1::SignRequestRequest Poll() {
  v1::SignRequestRequest request;
  request.mutable_poll();
  return request;
}

v1::SignRequestRequest Submission(const std::string& assignment, const std::string& body) {
  v1::SignRequestRequest request;
  request.mutable_submit_result()->set_unit_id("u-1");
  request.mutable_submit_result()->set_assignment_id(assignment);
  request.mutable_submit_result()->set_body_sha256(Sha256(body));
  return request;
}

grpc::Status Sign(const KeydProcess& keyd, const v1::SignRequestRequest& request) {
  v1::SignedRequest out;
  return keyd.request()->SignRequest(Deadline().get(), request, &out);
}

grpc::Status Grant(const KeydProcess& keyd, v1::OwnerAct act, const std::string& worker,
                   uint32_t seconds) {
  v1::OpenGrantRequest request;
  request.set_act(act);
  request.set_worker_id(worker);
  request.set_lifetime_seconds(seconds);
  v1::OpenGrantResponse response;
  return keyd.owner()->OpenGrant(Deadline().get(), request, &response);
}

v1::SignResultRequest ResultOf(const std::string& assignment, const std::string& payload) {
  v1::SignResultRequest request;
  request.set_unit_id("u-1");
  request.set_assignment_id(assignment);
  request.set_completed_at("2026-07-19T23:21:50+00:00");
  request.set_canonical_payload(payload);
  request.set_schema_version(2);
  request.set_ran_under("strict");
  return request;
}

StatusCode SignResult(const KeydProcess& keyd, const v1::SignResultRequest& request) {
  v1::SignResultResponse out;
  return keyd.result()->SignResult(Deadline().get(), request, &out).error_code();
}

void Configure(const ScratchDir& home, const std::string& text) {
  std::ofstream(home.path() + "/worker.toml") << text;
}

// Starts keyd on `home` with a key and an enrolment.
std::unique_ptr<KeydProcess> Enrolled(const ScratchDir& home) {
  auto keyd = std::make_unique<KeydProcess>(home.path());
  EXPECT_TRUE(keyd->ready()) << keyd->log();
  keyd->CreateKey();
  keyd->Enrol();
  return keyd;
}

TEST(DaemonGrants, WithoutWithTwiceAndForTheWrongActOrWorker) {
  const ScratchDir home;
  const auto keyd = Enrolled(home);
  EXPECT_EQ(Sign(*keyd, Retire()).error_code(), StatusCode::PERMISSION_DENIED) << "without";
  for (const char* worker : {"", "wkr-2", "wkr-1/.."}) {
    const grpc::Status refused = Grant(*keyd, v1::OWNER_ACT_RETIRE, worker, 60);
    EXPECT_EQ(refused.error_code(), StatusCode::INVALID_ARGUMENT) << worker;
    EXPECT_NE(refused.error_message().find("wkr-1"), std::string::npos) << refused.error_message();
  }
  EXPECT_EQ(Sign(*keyd, Retire()).error_code(), StatusCode::PERMISSION_DENIED) << "wrong worker";
  ASSERT_TRUE(Grant(*keyd, v1::OWNER_ACT_UNBIND, "wkr-1", 60).ok());
  EXPECT_EQ(Sign(*keyd, Retire()).error_code(), StatusCode::PERMISSION_DENIED) << "wrong act";
  ASSERT_TRUE(Grant(*keyd, v1::OWNER_ACT_RETIRE, "wkr-1", 60).ok());
  EXPECT_TRUE(Sign(*keyd, Retire()).ok()) << "with";
  EXPECT_EQ(Sign(*keyd, Retire()).error_code(), StatusCode::PERMISSION_DENIED) << "twice";
  ASSERT_TRUE(Grant(*keyd, v1::OWNER_ACT_RETIRE, "wkr-1", 60).ok());
  keyd->Enrol();
  EXPECT_EQ(Sign(*keyd, Retire()).error_code(), StatusCode::PERMISSION_DENIED) << "pinned anew";
  const v1::JournalRecord last = keyd->Journal().back();
  EXPECT_EQ(last.intent(), "retire");
  EXPECT_EQ(last.outcome(), "refused");
}

TEST(DaemonGrants, EndWithTheirTimeAndWithTheProcess) {
  const ScratchDir home;
  {
    const auto keyd = Enrolled(home);
    ASSERT_TRUE(Grant(*keyd, v1::OWNER_ACT_RETIRE, "wkr-1", 1).ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // the grant's own time
    const grpc::Status late = Sign(*keyd, Retire());
    EXPECT_EQ(late.error_code(), StatusCode::PERMISSION_DENIED);
    EXPECT_NE(late.error_message().find("has ended"), std::string::npos) << late.error_message();
    ASSERT_TRUE(Grant(*keyd, v1::OWNER_ACT_RETIRE, "wkr-1", 900).ok());
    EXPECT_EQ(keyd->Stop(SIGKILL), 128 + SIGKILL);
  }
  const KeydProcess keyd(home.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  EXPECT_EQ(Sign(keyd, Retire()).error_code(), StatusCode::PERMISSION_DENIED);
}

TEST(DaemonEquivocation, ASecondSubmissionAroundAKillIsATypedErrorAndARecord) {
  const ScratchDir home;
  {
    const auto keyd = Enrolled(home);
    // A unit may run again until its submission is signed.
    EXPECT_EQ(SignResult(*keyd, ResultOf("asg-1", "{\"n\":1}")), StatusCode::OK);
    EXPECT_EQ(SignResult(*keyd, ResultOf("asg-1", "{\"n\":2}")), StatusCode::OK);
    ASSERT_TRUE(Sign(*keyd, Submission("asg-1", "with n = 2")).ok());
    EXPECT_EQ(keyd->Stop(SIGKILL), 128 + SIGKILL);
  }
  for (int round = 0; round < 2; ++round) {
    KeydProcess keyd(home.path());
    ASSERT_TRUE(keyd.ready()) << keyd.log();
    const grpc::Status second = Sign(keyd, Submission("asg-1", "another body"));
    EXPECT_EQ(second.error_code(), StatusCode::ALREADY_EXISTS) << second.error_message();
    v1::JournalRecord record = keyd.Journal().back();
    EXPECT_EQ(record.intent(), "submit_result");
    EXPECT_EQ(record.subject(), "asg-1");
    EXPECT_EQ(record.unit(), "u-1");
    EXPECT_EQ(record.outcome(), "refused");
    EXPECT_NE(record.cause().find("another body was signed already"), std::string::npos)
        << record.cause();
    EXPECT_EQ(SignResult(keyd, ResultOf("asg-1", "{\"n\":1}")), StatusCode::ALREADY_EXISTS);
    record = keyd.Journal().back();
    EXPECT_EQ(record.intent(), "sign_result");
    EXPECT_EQ(record.outcome(), "refused");
    EXPECT_EQ(SignResult(keyd, ResultOf("asg-1", "{\"n\":2}")), StatusCode::OK);
    EXPECT_TRUE(Sign(keyd, Submission("asg-1", "with n = 2")).ok());
    keyd.Stop(SIGKILL);
  }
}

// netd and runnerd ask at the same time about the same assignments, and the owner reads on. Each is answered, and in the order of the
// journal no other result than the last one is signed once a submission was, nor a second body.
TEST(DaemonEquivocation, BothSigningSocketsAtOnceEndWithOneResultAndOneBody) {
  constexpr int kAssignments = 30;
  const ScratchDir home;
  const auto keyd = Enrolled(home);
  const auto name = [](int i) { return "asg-" + std::to_string(i); };
  const auto expect_typed = [](StatusCode code) {
    EXPECT_TRUE(code == StatusCode::OK || code == StatusCode::ALREADY_EXISTS) << code;
  };
  for (int i = 0; i < kAssignments; ++i) {
    ASSERT_EQ(SignResult(*keyd, ResultOf(name(i), "{}")), StatusCode::OK);
  }
  std::vector<std::thread> threads;
  for (const std::string word : {"one", "two"}) {
    threads.emplace_back([&, word] {
      for (int i = 0; i < kAssignments; ++i) {
        expect_typed(SignResult(*keyd, ResultOf(name(i), "{\"n\":\"" + word + "\"}")));
      }
    });
    threads.emplace_back([&, word] {
      for (int i = 0; i < kAssignments; ++i) {
        expect_typed(Sign(*keyd, Submission(name(i), word)).error_code());
        EXPECT_TRUE(Sign(*keyd, Poll()).ok());
      }
    });
  }
  std::atomic<bool> end = false;
  std::thread reader([&] {
    while (!end) {
      EXPECT_TRUE(keyd->Status().identity().has_key());
      keyd->Journal(1, 20);
    }
  });
  for (std::thread& thread : threads) thread.join();
  end = true;
  reader.join();

  struct Signed {
    std::string result, body;
  };
  std::map<std::string, Signed> by_assignment;
  for (const v1::JournalRecord& record : keyd->Journal()) {
    if (record.outcome() != "signed") continue;
    Signed& so_far = by_assignment[record.subject()];
    if (record.intent() == "sign_result") {
      if (!so_far.body.empty()) {
        EXPECT_EQ(record.digest(), so_far.result) << record.subject();
      }
      so_far.result = record.digest();
    } else if (record.intent() == "submit_result") {
      EXPECT_TRUE(so_far.body.empty()) << "a second body for " << record.subject();
      so_far.body = record.digest();
    }
  }
  for (int i = 0; i < kAssignments; ++i) {
    EXPECT_FALSE(by_assignment[name(i)].body.empty()) << i;
  }
}

// Killed while two bodies for the same assignments are asked for at once, again and again: whatever
// was released is one body an assignment.
TEST(DaemonEquivocation, AtMostOneBodyIsReleasedWhateverTheMomentOfTheKill) {
  const ScratchDir home;
  Enrolled(home)->Stop(SIGTERM);
  std::map<std::string, std::set<std::string>> released;
  std::mutex mutex;
  for (int round = 0; round < 4; ++round) {
    KeydProcess keyd(home.path());
    ASSERT_TRUE(keyd.ready()) << keyd.log();
    std::atomic<int> asked{0};
    std::vector<std::thread> threads;
    for (const std::string body : {"one", "two", "three"}) {
      threads.emplace_back([&, body] {
        const auto stub = keyd.request();
        for (int i = 0; i < 200; ++i) {
          const std::string assignment = "asg-" + std::to_string(i);
          v1::SignedRequest out;
          const auto code =
              stub->SignRequest(Deadline().get(), Submission(assignment, body), &out).error_code();
          ++asked;
          if (code == StatusCode::UNAVAILABLE || code == StatusCode::CANCELLED) return;
          if (code != StatusCode::OK) continue;
          std::lock_guard lock(mutex);
          released[assignment].insert(body);
        }
      });
    }
    while (asked < 40 * (round + 1)) std::this_thread::yield();
    keyd.Stop(SIGKILL);
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_GE(released.size(), 5u);
  for (const auto& [assignment, bodies] : released) EXPECT_EQ(bodies.size(), 1u) << assignment;
}

// The clock was an hour ahead, a request was signed, and the clock was set right: the record is made
// by the library that keyd itself has, the rest by the program.
TEST(DaemonClock, AClockBehindTheLastRequestIsRefusedUntilTheOwnerConfirmsIt) {
  const ScratchDir home;
  Enrolled(home)->Stop(SIGTERM);
  const int64_t ahead = Clock::System().NowSeconds() + 3600;
  {
    JournalStart start;
    start.state_dir = home.path() + "/state/keyd";
    start.now_micros = Clock::System().NowMicros();
    const auto journal = StartJournal(start, [](const JournalRecord&) {});
    ASSERT_TRUE(journal.ok()) << journal.status();
    JournalEntry entry;
    entry.caller = kNetd;
    entry.intent = Intent::kPoll;
    entry.outcome = Outcome::kSigned;
    entry.digest = ToDigest(Sha256("what was signed"));
    entry.created = ahead;
    ASSERT_TRUE((*journal)->Append(entry).ok());
  }
  for (int round = 0; round < 2; ++round) {
    KeydProcess keyd(home.path());
    ASSERT_TRUE(keyd.ready()) << keyd.log();
    const grpc::Status refused = Sign(keyd, Poll());
    EXPECT_EQ(refused.error_code(), StatusCode::FAILED_PRECONDITION);
    EXPECT_NE(refused.error_message().find("behind the last request"), std::string::npos)
        << refused.error_message();
    EXPECT_EQ(SignResult(keyd, ResultOf("asg-1", "{}")), StatusCode::OK) << "work goes on";
    if (round == 1) {
      keyd.Enrol();
      EXPECT_TRUE(Sign(keyd, Poll()).ok());
    }
    keyd.Stop(SIGKILL);
  }
  const KeydProcess keyd(home.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  EXPECT_TRUE(Sign(keyd, Poll()).ok()) << "the confirmation is remembered";
  EXPECT_LT(keyd.Journal().back().created(), ahead);
}

TEST(DaemonRates, TheOwnersConfigurationHolds) {
  const ScratchDir home;
  Configure(home, "[keyd.rates]\npoll = { per_second = 0.001, burst = 2 }\n");
  const auto keyd = Enrolled(home);
  EXPECT_TRUE(Sign(*keyd, Poll()).ok());
  EXPECT_TRUE(Sign(*keyd, Poll()).ok());
  const grpc::Status third = Sign(*keyd, Poll());
  EXPECT_EQ(third.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(third.error_message().rfind("rate: more than 0.001 poll a second after 2 at once", 0),
            0u)
      << third.error_message();
  const v1::JournalRecord record = keyd->Journal().back();
  EXPECT_EQ(record.intent(), "poll");
  EXPECT_EQ(record.outcome(), "refused");
  EXPECT_EQ(record.cause().rfind("rate:", 0), 0u) << record.cause();
  EXPECT_TRUE(Sign(*keyd, Submission("asg-1", "one")).ok()) << "each intent has its own";
}

TEST(DaemonRates, AnUnknownIntentInTheConfigurationRefusesTheStart) {
  const ScratchDir home;
  Configure(home, "[keyd.rates]\npolls = { per_second = 1, burst = 1 }\n");
  KeydProcess keyd(home.path());
  EXPECT_FALSE(keyd.ready());
  EXPECT_EQ(keyd.WaitForExit(), 2);
  EXPECT_NE(keyd.log().find("polls"), std::string::npos) << keyd.log();
  EXPECT_NE(keyd.log().find("submit_result"), std::string::npos) << keyd.log();
}

}  // namespace
}  // namespace auspex::keyd
