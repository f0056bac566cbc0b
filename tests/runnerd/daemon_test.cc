// SPDX-License-Identifier: AGPL-3.0-only
// The real auspex-runnerd: units, slots, aborts, withdrawn units, deaths and restarts of it and of
// its neighbour.
#include <gmock/gmock.h>
#include <signal.h>

#include <chrono>
#include <thread>

#include "common/base/cat.h"
#include "runnerd/rpc.h"
#include "tests/runnerd/daemon_fixture.h"

namespace auspex::runnerd {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using State = FakeStated::State;

TEST_F(DaemonTest, RunsFetchedUnitsInSeveralSlots) {
  StartRunnerd();
  const std::string sha = Stage({"ok"});
  for (int i = 0; i < 12; ++i) stated_.Give(Cat("u", i), sha);
  for (int i = 0; i < 12; ++i) {
    const auto done = stated_.WaitFor(Cat("u", i), State::kCompleted);
    EXPECT_EQ(done.result.canonical_payload(), "{\"done\":true}");
    EXPECT_EQ(done.result.ran_under(), "strict");
    EXPECT_EQ(done.result.schema_version(), 2u);
    EXPECT_EQ(done.result.worker_signature(), std::string(64, 's'));
    EXPECT_EQ(done.result.result_sha256(), std::string(32, 'h'));
    EXPECT_EQ(done.begun, 1);
  }
  EXPECT_EQ(stated_.slots(), 3u);
  EXPECT_LE(stated_.most_running(), 3);
  EXPECT_EQ(SandboxProcesses(EtcFolder()), 0);
}

TEST_F(DaemonTest, SlotsRunAtTheSameTimeAndEndUnitKillsOne) {
  StartRunnerd();
  const std::string sha = Stage({"stubborn"});
  for (const char* id : {"a", "b", "c"}) stated_.Give(id, sha);
  for (const char* id : {"a", "b", "c"}) stated_.WaitFor(id, State::kRunning);
  ASSERT_EQ(WaitForSandboxProcesses(EtcFolder(), 3, true), 3);
  auto owner = Owner();
  v1::SandboxStatus status;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(owner->GetStatus(&context, {}, &status).ok());
  }
  EXPECT_EQ(status.running_size(), 3);
  EXPECT_EQ(status.slots(), 3u);
  EXPECT_EQ(status.execution_policy(), "provisioned");
  EXPECT_EQ(status.ran_under(), "strict");
  stated_.End("a");
  v1::AbortRequest abort;
  abort.set_unit_id("b");
  abort.set_grace_seconds(0.1);
  v1::AbortResponse aborted;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(owner->Abort(&context, abort, &aborted).ok());
  }
  EXPECT_EQ(aborted.outcome(), "aborted_sigkill");
  const auto refused = stated_.WaitFor("b", State::kRefused);
  EXPECT_EQ(refused.refusal.kind(), "runner_failed");
  EXPECT_EQ(refused.refusal.reason(), "aborted by the owner");
  // The places of the two are free again.
  const std::string quick = Stage({"ok"});
  for (const char* id : {"d", "e"}) stated_.Give(id, quick);
  for (const char* id : {"d", "e"}) stated_.WaitFor(id, State::kCompleted);
  {
    grpc::ClientContext context;
    ASSERT_TRUE(owner->Abort(&context, abort, &aborted).ok());
    EXPECT_EQ(aborted.outcome(), "abort_not_running");
  }
  abort.set_unit_id("../x");
  grpc::ClientContext context;
  EXPECT_EQ(owner->Abort(&context, abort, &aborted).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(stated_.WaitFor("a", State::kEnded).refusal.kind(), "");
}

TEST_F(DaemonTest, AUnitThatComesBackBeforeItsRefusalIsAnsweredRunsAgain) {
  StartRunnerd();
  stated_.Give("a", Stage({"stubborn"}));
  stated_.WaitFor("a", State::kRunning);
  stated_.OfferAgain();
  v1::AbortRequest abort;
  abort.set_unit_id("a");
  v1::AbortResponse aborted;
  grpc::ClientContext context;
  ASSERT_TRUE(Owner()->Abort(&context, abort, &aborted).ok());
  EXPECT_EQ(stated_.WaitForBegun("a", 2).refusal.reason(), "aborted by the owner");
}

// As with a full disk: stated has handed it out and cannot note that it begins.
TEST_F(DaemonTest, AUnitThatIsAbortedBeforeStatedLetItBeginIsRefused) {
  StartRunnerd();
  stated_.CannotBegin(true);
  stated_.Give("a", Stage({"ok"}));
  v1::AbortRequest abort;
  abort.set_unit_id("a");
  v1::AbortResponse aborted;
  const std::unique_ptr<v1::Sandboxes::Stub> owner = Owner();
  stated_.WaitForTries("a", 1);
  grpc::ClientContext context;
  ASSERT_TRUE(owner->Abort(&context, abort, &aborted).ok());
  EXPECT_EQ(aborted.outcome(), "aborted_sigterm");
  EXPECT_EQ(stated_.WaitFor("a", State::kRefused).refusal.reason(), "aborted by the owner");
  // One that waits for it begins as soon as it can.
  stated_.Give("b", Stage({"ok"}));
  stated_.WaitForTries("b", 3);
  stated_.CannotBegin(false);
  EXPECT_EQ(stated_.WaitFor("b", State::kCompleted).begun, 1);
}

// What ended the unit is not what ends runnerd: its refusal waits for stated, and a stop for nobody.
TEST_F(DaemonTest, StopsWithinItsTimeWhileARefusalWaits) {
  StartRunnerd();
  stated_.Give("a", Stage({"stubborn"}));
  stated_.WaitFor("a", State::kRunning);
  stated_.CannotRefuse(true);
  v1::AbortRequest abort;
  abort.set_unit_id("a");
  v1::AbortResponse aborted;
  grpc::ClientContext context;
  ASSERT_TRUE(Owner()->Abort(&context, abort, &aborted).ok());
  stated_.WaitForRefusals("a", 2);
  const auto begun = std::chrono::steady_clock::now();
  KillRunnerd(SIGTERM);
  EXPECT_EQ(exit_status_, 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(15));
}

// What stated will never take is not kept from the coordinator, and the slot is free for the next.
TEST_F(DaemonTest, AResultThatStatedDoesNotTakeIsRefused) {
  StartRunnerd();
  stated_.RefuseToStore(grpc::StatusCode::INVALID_ARGUMENT);
  stated_.Give("a", Stage({"ok"}));
  EXPECT_EQ(stated_.WaitFor("a", State::kRefused).refusal.reason(),
            "the worker could not store the result");
  stated_.RefuseToStore(grpc::StatusCode::OK);
  stated_.RefuseToBegin(grpc::StatusCode::DATA_LOSS);
  stated_.Give("b", Stage({"ok"}));
  EXPECT_EQ(stated_.WaitFor("b", State::kRefused).refusal.reason(),
            "the worker could not begin the unit");
}

// One that runnerd cannot read comes again on another stream until its refusal is taken.
TEST_F(DaemonTest, AnUnreadableUnitIsRefusedOnceStatedCanTakeIt) {
  StartRunnerd();
  stated_.CannotRefuse(true);
  stated_.Give("bad", "not-a-hash");
  stated_.WaitForRefusals("bad", 2);
  stated_.CannotRefuse(false);
  EXPECT_THAT(stated_.WaitFor("bad", State::kRefused).refusal.reason(), StartsWith("unit: "));
}

TEST_F(DaemonTest, ReportsCapabilitiesAndProbes) {
  StartRunnerd();
  EXPECT_THAT(stated_.WaitForCapabilities(), HasSubstr("\"execute_tenant_code\":\"provisioned\""));
  EXPECT_THAT(stated_.WaitForCapabilities(), HasSubstr("\"worker_version\":\"0.1.0\""));
  auto owner = Owner();
  v1::ProbeResponse probe;
  grpc::ClientContext context;
  ASSERT_TRUE(owner->Probe(&context, {}, &probe).ok());
  EXPECT_TRUE(probe.ok()) << probe.failure();
  EXPECT_GE(probe.layers_size(), 12);
}

TEST_F(DaemonTest, PolicyIsReadForEveryUnit) {
  StartRunnerd("[executor]\nexecute_tenant_code = \"synthetic\"\n");
  const std::string sha = Stage({"ok"});
  stated_.Give("one", sha, "{\"x\":[1,2.0]}");
  EXPECT_EQ(stated_.WaitFor("one", State::kCompleted).result.canonical_payload(),
            "{\"echo\":{\"x\":[1,2.0]},\"executor\":\"builtin-echo\"}");
  folder_.Write("worker.toml", "[executor]\nexecute_tenant_code = \"off\"\n", 0600);
  stated_.Give("two", sha);
  EXPECT_THAT(stated_.WaitFor("two", State::kRefused).refusal.reason(),
              StartsWith("execute_tenant_code=off"));
  folder_.Write("worker.toml", "not toml [", 0600);
  stated_.Give("three", sha);
  EXPECT_THAT(stated_.WaitFor("three", State::kRefused).refusal.reason(),
              StartsWith("execute_tenant_code=off"));
  folder_.Write("worker.toml", "[executor]\nexecute_tenant_code = \"provisioned\"\n", 0600);
  stated_.Give("four", sha);
  EXPECT_EQ(stated_.WaitFor("four", State::kCompleted).result.canonical_payload(),
            "{\"done\":true}");
}

// Whoever saves a file may empty it first, and what no file says is the echo.
TEST_F(DaemonTest, AFileThatIsBeingWrittenChangesNothing) {
  const std::string settings = Settings("");
  StartRunnerd(settings);
  const std::string sha = Stage({"ok"});
  for (int round = 0; round < 8; ++round) {
    const std::string unit = Cat("u", round);
    folder_.Write("worker.toml", "", 0600);
    stated_.Give(unit, sha);
    // runnerd has the unit in hand by then.
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    folder_.Write("worker.toml", settings, 0600);
    EXPECT_EQ(stated_.WaitFor(unit, State::kCompleted).result.canonical_payload(),
              "{\"done\":true}");
  }
}

// Pauses are only added up here: no time passes.
TEST(CallUntilAnswered, WaitsForOneThatIsAwayButNotForTroubleWithoutEnd) {
  double paused = 0;
  const auto ask = [&paused](std::vector<grpc::StatusCode> answers, double patience) {
    paused = 0;
    size_t next = 0;
    return CallUntilAnswered(
               "peer.Call",
               [&](grpc::ClientContext&) {
                 return grpc::Status(answers[next++ % answers.size()], "why");
               },
               [&](double seconds) { return (paused += seconds) > patience; }, kTroubleSeconds)
        .code();
  };
  for (grpc::StatusCode code : {grpc::StatusCode::INTERNAL, grpc::StatusCode::UNKNOWN,
                                grpc::StatusCode::RESOURCE_EXHAUSTED}) {
    EXPECT_EQ(static_cast<int>(ask({code}, 1e9)), code);
    EXPECT_GT(paused, kTroubleSeconds - 2);
    EXPECT_LE(paused, kTroubleSeconds);
  }
  // Unless nothing else can be done.
  EXPECT_FALSE(
      CallUntilAnswered(
          "peer.Call",
          [](grpc::ClientContext&) { return grpc::Status(grpc::StatusCode::INTERNAL, "why"); },
          [&](double seconds) { return (paused += seconds) > 10'000; }, kForEver)
          .ok());
  EXPECT_GT(paused, 10'000);
  EXPECT_EQ(ask({grpc::StatusCode::UNAVAILABLE}, 10'000), absl::StatusCode::kUnavailable);
  EXPECT_GT(paused, 10'000);
  ask({grpc::StatusCode::INTERNAL, grpc::StatusCode::UNAVAILABLE}, 10'000);  // never on end
  EXPECT_GT(paused, 10'000);
  EXPECT_EQ(ask({grpc::StatusCode::INVALID_ARGUMENT}, 1e9), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(paused, 0);
}

// What is over keyd's rate is signed later, and a finished unit waits for it.
TEST(CallUntilAnswered, ARateIsWaitedOut) {
  double paused = 0;
  const absl::Status status = CallUntilAnswered(
      "keyd.SignResult",
      [&](grpc::ClientContext&) {
        return paused > 10 * kTroubleSeconds
                   ? grpc::Status::OK
                   : grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                                  "rate: more than 0.001 sign_result a second");
      },
      [&](double seconds) {
        paused += seconds;
        return false;
      },
      kTroubleSeconds);
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(DaemonTest, AUnitThatDoesNotParseIsRefusedAndHarmless) {
  StartRunnerd();
  stated_.Give("bad", "not-a-hash");
  EXPECT_THAT(stated_.WaitFor("bad", State::kRefused).refusal.reason(), StartsWith("unit: "));
  stated_.Give("loose", Stage({"ok"}), "{ \"not\" : \"canonical\" }");
  EXPECT_THAT(stated_.WaitFor("loose", State::kRefused).refusal.reason(), StartsWith("unit: "));
  stated_.Give("good", Stage({"ok"}));
  stated_.WaitFor("good", State::kCompleted);
}

TEST_F(DaemonTest, KilledAtWorkItLeavesNothingAndTheNextOneFinishes) {
  StartRunnerd();
  const std::string sha = Stage({"stubborn"}), quick = Stage({"ok"});
  stated_.Give("long", sha);
  stated_.WaitFor("long", State::kRunning);
  ASSERT_EQ(WaitForSandboxProcesses(EtcFolder(), 2), 2);
  KillRunnerd(SIGKILL);
  EXPECT_EQ(WaitForSandboxProcesses(EtcFolder(), 0), 0);  // the sandbox died with its parent
  stated_.WaitFor("long", State::kAccepted);
  stated_.End("long");
  StartRunnerd();
  stated_.Give("next", quick);
  stated_.WaitFor("next", State::kCompleted);
}

TEST_F(DaemonTest, KilledAgainAndAgainEveryUnitIsDoneOnce) {
  const std::string quick = Stage({"ok"});
  for (int i = 0; i < 30; ++i) stated_.Give(Cat("u", i), quick);
  for (int round = 0; round < 5; ++round) {
    StartRunnerd();
    std::this_thread::sleep_for(std::chrono::milliseconds(17 * round));  // another moment each time
    KillRunnerd(SIGKILL);
  }
  StartRunnerd();
  for (int i = 0; i < 30; ++i) stated_.WaitFor(Cat("u", i), State::kCompleted);
}

TEST_F(DaemonTest, AStatedThatComesBackGetsWhatWasRunning) {
  StartRunnerd();
  const std::string sha = Stage({"slow"});
  stated_.Give("slow", sha);
  stated_.WaitFor("slow", State::kRunning);
  ASSERT_EQ(WaitForSandboxProcesses(EtcFolder(), 2), 2);
  StopStated();
  stated_.WaitFor("slow", State::kAccepted);
  StartStated();
  const auto done = stated_.WaitFor("slow", State::kCompleted);
  EXPECT_LE(done.begun, 2);
  stated_.Give("after", Stage({"ok"}));
  stated_.WaitFor("after", State::kCompleted);
}

// The coordinator is told at once what will not come; what has not begun runs after the next start.
TEST_F(DaemonTest, StopsWithinItsTimeAndRefusesWhatItKills) {
  StartRunnerd("[executor]\nexecute_tenant_code = \"provisioned\"\n[resources]\nslots = 1\n");
  stated_.Give("long", Stage({"stubborn"}));
  stated_.WaitFor("long", State::kRunning);
  ASSERT_EQ(WaitForSandboxProcesses(EtcFolder(), 2), 2);
  stated_.Give("next", Stage({"ok"}));
  KillRunnerd(SIGTERM);
  EXPECT_EQ(exit_status_, 0);
  const auto refused = stated_.WaitFor("long", State::kRefused);
  EXPECT_EQ(refused.refusal.kind(), "runner_failed");
  EXPECT_EQ(refused.refusal.reason(), "the worker was stopped while the unit ran");
  EXPECT_EQ(stated_.WaitFor("next", State::kAccepted).begun, 0);
  EXPECT_EQ(SandboxProcesses(EtcFolder()), 0);
  StartRunnerd();
  stated_.WaitFor("next", State::kCompleted);
}

// A refusal that stated did not take is no refusal: the unit is still its.
TEST_F(DaemonTest, StopsWithinItsTimeWithoutStated) {
  StartRunnerd();
  stated_.Give("long", Stage({"stubborn"}));
  stated_.WaitFor("long", State::kRunning);
  ASSERT_EQ(WaitForSandboxProcesses(EtcFolder(), 2), 2);
  StopStated();
  KillRunnerd(SIGTERM);
  EXPECT_EQ(exit_status_, 0);
  StartStated();
  EXPECT_EQ(stated_.WaitFor("long", State::kAccepted).refusal.kind(), "");
  EXPECT_EQ(SandboxProcesses(EtcFolder()), 0);
}

}  // namespace
}  // namespace auspex::runnerd
