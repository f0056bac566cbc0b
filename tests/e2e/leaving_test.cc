// SPDX-License-Identifier: AGPL-3.0-only
// How things end: withdrawal, signals, bounded runs, and the lab in one command.
#include <dirent.h>
#include <signal.h>

#include "tests/e2e/fixture.h"

namespace auspex::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST_F(LabTest, WithdrawRetiresTheKeyAndForgetsEverything) {
  Worker& worker = AddWorker();
  const Package noop = Pack("noop", "withdraw");
  const std::string experiment =
      coordinator_->Submit(noop.manifest, Units(3), 1, noop.archive_base64);
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  ASSERT_TRUE(coordinator_->WaitCompleted(experiment, 3, 30));
  const std::string id = worker.worker_id();
  const std::string key = worker.VerbJson({"status"}).value("public_key", std::string());
  ASSERT_EQ(key.size(), 64u);
  const Json done = worker.VerbJson({"withdraw", "--yes"}, 60);
  ASSERT_TRUE(done.is_object()) << worker.Verb({"withdraw", "--yes"}).err;
  EXPECT_EQ(done["coordinator"], "retired");
  EXPECT_EQ(done["key_destroyed"], true);
  EXPECT_THAT(coordinator_->Call("GET", "/workers/" + id).json().value("retired_at", std::string()),
              Not(IsEmpty()));

  const Json status = worker.VerbJson({"status"});
  ASSERT_TRUE(status.is_object());
  EXPECT_EQ(status["enrolled"], false);
  EXPECT_EQ(status["state"], "not_enrolled");
  EXPECT_EQ(status["results"]["submitted"], 0);
  EXPECT_EQ(worker.VerbJson({"receipts", "list"})["results"], Json::array());
  EXPECT_EQ(worker.StopDaemon(), 0);
  // The database holds neither the worker's id nor a unit of it any more, not even in a freed page
  // or a side file.
  const Finished grep =
      RunCommand({"/bin/grep", "-rlaE", id + "|u-[0-2]\\b", worker.home() + "/state/stated"});
  EXPECT_THAT(grep.out, IsEmpty());
  // Again is no error, and the key cannot come back: a new one is made.
  EXPECT_EQ(worker.Verb({"withdraw", "--yes"}).code, 0);
  ASSERT_EQ(worker.Verb({"bootstrap"}).code, 0);
  EXPECT_NE(worker.VerbJson({"status"}).value("public_key", std::string()), key);
}

// The coordinator may be gone for good: leaving works all the same.
TEST_F(LabTest, WithdrawWithoutACoordinatorStillForgets) {
  Worker& worker = AddWorker();
  coordinator_->Kill();
  const Json done = worker.VerbJson({"withdraw", "--yes"}, 60);
  ASSERT_TRUE(done.is_object());
  EXPECT_EQ(done["coordinator"], "failed");
  EXPECT_EQ(worker.VerbJson({"status"})["enrolled"], false);
}

TEST_F(LabTest, SigtermLeavesNoProcessEvenWithUnitsRunning) {
  Worker& worker = AddWorker();
  const Package slow = ScriptPackage("slow", "sleep 86431 & exec sleep 86431\n");
  const std::string experiment =
      coordinator_->Submit(slow.manifest, Units(2), 1, slow.archive_base64);
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  ASSERT_TRUE(Eventually(20, [] { return PidsNaming("sleep", "86431").size() >= 4; }))
      << coordinator_->Progress(experiment);
  EXPECT_EQ(worker.StopDaemon(), 0);
  EXPECT_THAT(PidsNaming("sleep", "86431"), IsEmpty());
  EXPECT_THAT(ProcessesNaming(worker.home()), IsEmpty());
  EXPECT_THAT(ReadText(worker.log()), Not(HasSubstr("did not stop in time")));
  // A worker that is started again goes on where it was: nothing was lost.
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  EXPECT_TRUE(Eventually(20, [] { return PidsNaming("sleep", "86431").size() >= 4; }));
  EXPECT_EQ(worker.StopDaemon(), 0);
}

// A supervisor that is killed takes its daemons and their sandboxes with it.
TEST_F(LabTest, AKilledSupervisorLeavesNoProcess) {
  Worker& worker = AddWorker();
  const Package slow = ScriptPackage("slow-kill", "exec sleep 86432\n");
  (void)coordinator_->Submit(slow.manifest, Units(1), 1, slow.archive_base64);
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  ASSERT_TRUE(Eventually(20, [] { return !PidsNaming("sleep", "86432").empty(); }));
  worker.daemon().Signal(SIGKILL);
  EXPECT_EQ(worker.daemon().Wait(10), 128 + SIGKILL);
  EXPECT_TRUE(Eventually(10, [&] {
    return PidsNaming("/auspex-", worker.home()).empty() && PidsNaming("sleep", "86432").empty();
  }));
}

TEST_F(LabTest, ABoundedRunEndsByItselfWithTheRightCode) {
  Worker& worker = AddWorker();
  const Package noop = Pack("noop", "bounded");
  const std::string experiment =
      coordinator_->Submit(noop.manifest, Units(2), 1, noop.archive_base64);
  // On a busy host the first polls come before runnerd has said what it can do, and bring nothing.
  worker.LaunchDaemon({"--max-ticks", "15"});
  EXPECT_EQ(worker.daemon().Wait(40), 0) << ReadText(worker.log());
  EXPECT_EQ(coordinator_->Progress(experiment)["units"]["completed"], 2);
  coordinator_->Kill();
  worker.LaunchDaemon({"--max-ticks", "2"});
  EXPECT_EQ(worker.daemon().Wait(40), 1) << ReadText(worker.log());
}

TEST_F(LabTest, ADaemonThatMayNotRunRefusesWithCode2) {
  Worker never_enrolled(folder_ / "stranger", {.url = coordinator_->url()});
  const Finished refused = never_enrolled.Verb({"daemon"}, 20);
  EXPECT_EQ(refused.code, 2) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("bootstrap"));

  Worker& worker = AddWorker();
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  const Finished second = worker.Verb({"daemon"}, 20);
  EXPECT_EQ(second.code, 2) << "two daemons of one worker";
  EXPECT_EQ(worker.StopDaemon(), 0);
}

int EntriesOf(const std::string& path) {
  int entries = -2;  // for "." and ".."
  if (DIR* folder = ::opendir(path.c_str())) {
    while (::readdir(folder) != nullptr) ++entries;
    ::closedir(folder);
  }
  return entries;
}

TEST(LabCommand, RunsARealExperimentAndLeavesNothing) {
  TempFolder folder;
  const Finished lab = RunCommand({Program("auspex"), "lab", "--units", "8", "--json"}, 110,
                                  {{"TMPDIR", folder.path()}, {"HOME", folder.path()}});
  EXPECT_EQ(lab.code, 0) << lab.err;
  const Json report = Json::parse(lab.out, nullptr, false);
  EXPECT_TRUE(report.is_object()) << lab.out;
  EXPECT_EQ(EntriesOf(folder.path()), 0) << RunCommand({"/usr/bin/find", folder.path()}).out;
  EXPECT_THAT(ProcessesNaming(folder.path()), IsEmpty());
  KillOrphans();
}

TEST(LabCommand, InterruptedLeavesNothing) {
  TempFolder folder;
  Process lab({{Program("auspex"), "lab", "--units", "200"},
               {{"TMPDIR", folder.path()}, {"HOME", folder.path()}},
               "/dev/null",
               false});
  ASSERT_TRUE(Eventually(40, [&] { return !PidsNaming("/auspex-netd", folder.path()).empty(); }));
  lab.Signal(SIGINT);
  const std::optional<int> code = lab.Wait(40);
  ASSERT_TRUE(code.has_value()) << "SIGINT did not end the lab";
  EXPECT_NE(*code, 0);
  EXPECT_TRUE(Eventually(10, [&] { return ProcessesNaming(folder.path()).empty(); }));
  EXPECT_EQ(EntriesOf(folder.path()), 0) << RunCommand({"/usr/bin/find", folder.path()}).out;
  KillOrphans();
}

}  // namespace
}  // namespace auspex::e2e
