// SPDX-License-Identifier: AGPL-3.0-only
// The owner's and the operator's say: what they refuse does not run, and the other side learns why.
#include <chrono>
#include <thread>

#include "tests/e2e/fixture.h"

namespace auspex::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Json SensitiveUnits(int count) {
  Json units = Units(count);
  for (Json& unit : units) unit["payload"]["sensitive_content_flags"] = {"red_team"};
  return units;
}

// The newest audit row of that action; null when there is none.
Json AuditRow(const Worker& worker, const std::string& action) {
  const Json log = worker.VerbJson({"log"});
  if (!log.is_object()) return nullptr;
  for (const Json& row : log["rows"]) {
    if (row["action"] == action) return row;
  }
  return nullptr;
}

// A line that the unit's processes carry, so that a look at /proc finds them.
std::string SleepingScript(const std::string& mark, const std::string& before = "") {
  return before + "exec sleep " + mark + "\n";
}

TEST_F(LabTest, ADeniedTenantIsRefusedAndTheCoordinatorToldWhy) {
  Worker& worker = AddWorker();
  ASSERT_EQ(worker.Verb({"tenant", "deny", "auspex-lab"}).code, 0);
  const Package noop = Pack("noop", "denied");
  const std::string experiment =
      coordinator_->Submit(noop.manifest, Units(2), 1, noop.archive_base64);
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  ASSERT_TRUE(Eventually(20, [&] {
    return coordinator_->Progress(experiment)["refusals"] == Json({{"refused_tenant_deny", 2}});
  })) << coordinator_->Progress(experiment);
  EXPECT_EQ(coordinator_->Progress(experiment)["results"], 0);
  const Json row = AuditRow(worker, "refused_tenant_deny");
  ASSERT_TRUE(row.is_object());
  EXPECT_EQ(row["tenant_id"], "auspex-lab");
  EXPECT_THAT(row["reason"].get<std::string>(), Not(IsEmpty()));
}

TEST_F(LabTest, ATenantOutsideTheAllowListIsRefused) {
  Worker& worker = AddWorker();
  ASSERT_EQ(worker.Verb({"tenant", "allow", "somebody-else"}).code, 0);
  const Package noop = Pack("noop", "not-allowed");
  const std::string experiment =
      coordinator_->Submit(noop.manifest, Units(1), 1, noop.archive_base64);
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  EXPECT_TRUE(coordinator_->WaitRefused(experiment, "refused_tenant_allow_list_miss", 20))
      << coordinator_->Progress(experiment);
}

TEST_F(LabTest, SensitiveWorkNeedsTheOwnersAcceptance) {
  Worker& worker = AddWorker();
  const Package before = Pack("noop", "sensitive-before");
  const std::string refused =
      coordinator_->Submit(before.manifest, SensitiveUnits(1), 1, before.archive_base64);
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  ASSERT_TRUE(coordinator_->WaitRefused(refused, "refused_sensitive", 20))
      << coordinator_->Progress(refused);

  // Paused, so that the acceptance is there before the next unit.
  ASSERT_EQ(worker.Verb({"pause"}).code, 0);
  const Package after = Pack("noop", "sensitive-after");
  const std::string accepted =
      coordinator_->Submit(after.manifest, SensitiveUnits(3), 1, after.archive_base64);
  ASSERT_EQ(worker.Verb({"accept", accepted}).code, 0);
  ASSERT_EQ(worker.Verb({"unpause"}).code, 0);
  EXPECT_TRUE(coordinator_->WaitCompleted(accepted, 3, 20)) << coordinator_->Progress(accepted);
  EXPECT_EQ(coordinator_->Progress(refused)["results"], 0) << "acceptance is for one experiment";
}

TEST_F(LabTest, APausedWorkerTakesNothingAndGoesOnWhenUnpaused) {
  Worker& worker = AddWorker();
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  ASSERT_EQ(worker.Verb({"pause"}).code, 0);
  EXPECT_EQ(worker.VerbJson({"status"})["state"], "self_paused");
  const std::string view = "/workers/" + worker.worker_id();
  // The coordinator is told with a heartbeat; from then on several more go by without a unit.
  ASSERT_TRUE(Eventually(20, [&] {
    return coordinator_->Call("GET", view).json()["capabilities"].value("self_paused", false);
  })) << coordinator_->Call("GET", view).body;
  const Package noop = Pack("noop", "paused");
  const std::string experiment =
      coordinator_->Submit(noop.manifest, Units(4), 1, noop.archive_base64);
  std::string last;
  for (int beats = 0; beats < 5; ++beats) {
    ASSERT_TRUE(Eventually(20, [&] {
      const std::string now =
          coordinator_->Call("GET", view).json().value("last_heartbeat_at", std::string());
      return !now.empty() && now != std::exchange(last, now);
    }));
  }
  const Json progress = coordinator_->Progress(experiment);
  EXPECT_EQ(progress["results"], 0);
  EXPECT_EQ(progress["open_assignments"], 0);
  ASSERT_EQ(worker.Verb({"unpause"}).code, 0);
  EXPECT_TRUE(coordinator_->WaitCompleted(experiment, 4, 20)) << coordinator_->Progress(experiment);
}

TEST_F(LabTest, TheOwnerRefusesARunningUnit) {
  Worker& worker = AddWorker();
  const Package slow = ScriptPackage("refused-by-hand", SleepingScript("86421"));
  const std::string experiment =
      coordinator_->Submit(slow.manifest, Units(1), 1, slow.archive_base64);
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  ASSERT_TRUE(Eventually(20, [] { return !PidsNaming("sleep", "86421").empty(); }))
      << coordinator_->Progress(experiment);
  const Json refused = worker.VerbJson({"refuse", "u-0", "--reason", "not on this machine"});
  ASSERT_TRUE(refused.is_object());
  EXPECT_EQ(refused["units_ended"], 1);
  EXPECT_TRUE(coordinator_->WaitRefused(experiment, "executor_refused", 20))
      << coordinator_->Progress(experiment);
  EXPECT_TRUE(Eventually(10, [] { return PidsNaming("sleep", "86421").empty(); }))
      << "the unit still runs";
  EXPECT_THAT(worker.Verb({"log"}).out, HasSubstr("not on this machine"));
  EXPECT_EQ(worker.VerbJson({"status"})["units"]["running"], 0);
}

TEST_F(LabTest, AbortEndsAUnitAtOnceAndSaysHow) {
  Worker& worker = AddWorker();
  const Package soft = ScriptPackage("aborted-soft", SleepingScript("86422"));
  const std::string first =
      coordinator_->Submit(soft.manifest, Units(1, "soft-"), 1, soft.archive_base64);
  const Package hard = ScriptPackage("aborted-hard", SleepingScript("86423", "trap '' TERM\n"));
  const std::string second =
      coordinator_->Submit(hard.manifest, Units(1, "hard-"), 1, hard.archive_base64);
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  ASSERT_TRUE(Eventually(20,
                         [] {
                           return !PidsNaming("sleep", "86422").empty() &&
                                  !PidsNaming("sleep", "86423").empty();
                         }))
      << coordinator_->Progress(first) << coordinator_->Progress(second);
  // Units that were ended are offered again: the pause keeps the second look clean.
  ASSERT_EQ(worker.Verb({"pause"}).code, 0);
  const Json by_term = worker.VerbJson({"abort", "soft-0", "--grace-seconds", "20"}, 40);
  ASSERT_TRUE(by_term.is_object());
  EXPECT_EQ(by_term["outcome"], "aborted_sigterm");
  EXPECT_THAT(PidsNaming("sleep", "86422"), IsEmpty());
  EXPECT_THAT(PidsNaming("sleep", "86423"), Not(IsEmpty())) << "the other unit was not meant";
  const Json by_kill = worker.VerbJson({"abort", "hard-0", "--grace-seconds", "0.2"}, 40);
  ASSERT_TRUE(by_kill.is_object());
  EXPECT_EQ(by_kill["outcome"], "aborted_sigkill");
  EXPECT_THAT(PidsNaming("sleep", "86423"), IsEmpty());
  EXPECT_EQ(worker.VerbJson({"abort", "hard-0"})["outcome"], "abort_not_running");
  const Json not_running = AuditRow(worker, "abort_not_running");
  EXPECT_EQ(not_running["unit_id"], "hard-0");
  const auto unknown = worker.Verb({"abort", "nobody-knows-it"}, 30);
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("not known to this worker"));
  EXPECT_EQ(AuditRow(worker, "abort_not_running")["unit_id"], "nobody-knows-it");
  EXPECT_TRUE(AuditRow(worker, "aborted_sigterm").is_object());
  EXPECT_TRUE(AuditRow(worker, "aborted_sigkill").is_object());
  for (const std::string& experiment : {first, second}) {
    EXPECT_TRUE(Eventually(20, [&] {
      return !coordinator_->Progress(experiment)["refusals"].empty();
    })) << coordinator_->Progress(experiment);
  }
}

// What a stop killed is told to the coordinator, by the next start at the latest: netd went first.
TEST_F(LabTest, AStopRefusesWhatItKilled) {
  Worker& worker = AddWorker();
  const Package slow = ScriptPackage("stopped", SleepingScript("86424"));
  const std::string experiment =
      coordinator_->Submit(slow.manifest, Units(1, "stopped-"), 1, slow.archive_base64);
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  ASSERT_TRUE(Eventually(20, [] { return !PidsNaming("sleep", "86424").empty(); }))
      << coordinator_->Progress(experiment);
  EXPECT_EQ(worker.StopDaemon(), 0);
  EXPECT_THAT(PidsNaming("sleep", "86424"), IsEmpty());
  const Json row = AuditRow(worker, "runner_failed");
  ASSERT_TRUE(row.is_object());
  EXPECT_EQ(row["reason"], "the worker was stopped while the unit ran");
  ASSERT_EQ(worker.Verb({"pause"}).code, 0);
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  EXPECT_TRUE(coordinator_->WaitRefused(experiment, "runner_failed", 20))
      << coordinator_->Progress(experiment);
}

// The owner's bound on free disk, beyond what any disk has: the word is the state, nothing is asked
// for, and no unit runs until the bound is one that holds.
TEST_F(LabTest, AStrainIsTheStateAndNoUnitRunsUntilItIsOver) {
  const std::string settings = "[governor]\nmin_free_disk_mb = 1073741824\n";
  Worker& worker = AddWorker({.more = settings});
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  ASSERT_TRUE(Eventually(20, [&] { return worker.VerbJson({"status"})["state"] == "disk"; }))
      << worker.Verb({"status"}).out;
  EXPECT_THAT(worker.Verb({"status"}).out, HasSubstr("governor.min_free_disk_mb 1073741824"));
  EXPECT_EQ(worker.VerbJson({"status"})["gpu"]["devices"], Json::array());
  const Package noop = Pack("noop", "strained");
  const std::string experiment =
      coordinator_->Submit(noop.manifest, Units(3), 1, noop.archive_base64);
  std::this_thread::sleep_for(std::chrono::seconds(2));
  EXPECT_EQ(coordinator_->Progress(experiment)["units"].value("completed", 0), 0);
  // But for the one that a poll may bring which was under way before.
  EXPECT_LE(worker.VerbJson({"status"})["units"]["waiting"], 1);
  std::string file = ReadText(worker.home() + "/worker.toml");
  file.erase(file.find(settings));
  WriteText(worker.home() + "/worker.toml", file);
  EXPECT_TRUE(coordinator_->WaitCompleted(experiment, 3, 30)) << coordinator_->Progress(experiment);
}

TEST_F(LabTest, TheOperatorsHoldsAreShownAndLifted) {
  Worker& worker = AddWorker();
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  const std::string actions = "/workers/" + worker.worker_id() + "/actions/";
  for (const auto& [hold, state] :
       {std::pair{"pause", "paused_by_operator"}, std::pair{"quarantine", "quarantined"}}) {
    ASSERT_EQ(coordinator_->Call("POST", actions + hold, {{"reason", "cable \x1b[31mwork"}}).status,
              200)
        << hold;
    ASSERT_TRUE(Eventually(20, [&] { return worker.VerbJson({"status"})["state"] == state; }))
        << worker.Verb({"status"}).out;
    const Finished shown = worker.Verb({"status"});
    EXPECT_THAT(shown.out, HasSubstr("cable"));
    EXPECT_THAT(shown.out, Not(HasSubstr("\x1b[31m")))
        << "the operator's text reached the terminal";
    ASSERT_EQ(coordinator_->Call("POST", actions + "un" + hold).status, 200) << hold;
    ASSERT_TRUE(Eventually(20, [&] { return worker.VerbJson({"status"})["state"] == "idle"; }))
        << worker.Verb({"status"}).out;
  }
  const Package noop = Pack("noop", "after-holds");
  const std::string experiment =
      coordinator_->Submit(noop.manifest, Units(2), 1, noop.archive_base64);
  EXPECT_TRUE(coordinator_->WaitCompleted(experiment, 2, 20)) << coordinator_->Progress(experiment);
}

}  // namespace
}  // namespace auspex::e2e
