// SPDX-License-Identifier: AGPL-3.0-only
// Daemons that a command starts for itself, and the locks between commands.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "cli/process/instance_lock.h"
#include "tests/cli/run_command.h"

namespace auspex::cli {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

class TransientTest : public ::testing::Test {
 protected:
  Outcome Auspex(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--home", home_.path()});
    return RunProgram(BuiltProgram("auspex"), arguments);
  }

  ScratchFolder home_;
};

TEST_F(TransientTest, DaemonsAreGoneAfterwards) {
  EXPECT_EQ(Auspex({"key", "show"}).code, 0);
  EXPECT_EQ(Auspex({"status"}).code, 0);
  EXPECT_TRUE(ProcessesWith(home_.path()).empty());
}

// One that has to be killed says nothing of its end: runnerd waited so for a stated that a probe does
// not start.
TEST_F(TransientTest, ADaemonEndsByItselfWithoutItsNeighbours) {
  const Outcome probed = Auspex({"--verbose", "sandbox", "probe"});
  EXPECT_THAT(probed.err, HasSubstr("proc=runnerd event=stopped")) << probed.code;
}

TEST_F(TransientTest, DaemonsAreGoneAfterAKilledCommand) {
  const pid_t pid = StartProgram(BuiltProgram("auspex"), {"--home", home_.path(), "status"});
  // Whatever it has come to by then.
  Eventually([this] { return ProcessesWith(home_.path()).size() >= 2; }, 5);
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  EXPECT_TRUE(Eventually([this] { return ProcessesWith(home_.path()).empty(); }));
  EXPECT_EQ(Auspex({"status"}).code, 0);
}

TEST_F(TransientTest, CommandsAtTheSameTimeWaitForEachOther) {
  std::vector<std::thread> threads;
  std::vector<Outcome> outcomes(4);
  for (Outcome& outcome : outcomes) {
    threads.emplace_back([this, &outcome] { outcome = Auspex({"status"}); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST_F(TransientTest, SecondDaemonOfAHomeIsRefused) {
  std::filesystem::create_directories(home_.path() + "/run/command");
  for (const char* folder : {"/run", "/run/command"})
    ASSERT_EQ(chmod((home_.path() + folder).c_str(), 0700), 0);
  const absl::StatusOr<UniqueFd> lock = TakeLock(home_.path() + "/run/command/supervisor.lock", 0);
  ASSERT_TRUE(lock.ok()) << lock.status();
  const Outcome outcome = Auspex({"daemon"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("runs already"));
  EXPECT_THAT(outcome.err, HasSubstr(std::to_string(getpid())));
}

TEST_F(TransientTest, ARefusedStartIsToldAsItsCauseAndNotAsALineOfTheLog) {
  // With a quotation mark, which the log escapes.
  const std::string home = home_.path() + "/a\"b";
  std::filesystem::create_directories(home + "/state/keyd");
  ASSERT_EQ(chmod((home + "/state/keyd").c_str(), 0700), 0);
  std::ofstream(home + "/state/keyd/key.sealed") << "not a sealed key";
  const Outcome shown = RunProgram(BuiltProgram("auspex"), {"--home", home, "key", "show"});
  EXPECT_EQ(shown.code, 2);
  EXPECT_THAT(shown.err, HasSubstr("auspex-keyd refused to start: "));
  EXPECT_THAT(shown.err, HasSubstr("/a\"b/state/keyd/key.sealed"));
  EXPECT_THAT(shown.err, Not(AnyOf(HasSubstr("level="), HasSubstr("\\"))));
  // Nor is the owner told of attacks when keyd said itself what it lacks.
  const Outcome doctor = RunProgram(BuiltProgram("auspex"), {"--home", home, "doctor"});
  EXPECT_EQ(doctor.code, 1);
  EXPECT_THAT(doctor.out, AllOf(HasSubstr("refused to start"), Not(HasSubstr("SIGSYS"))));
}

TEST_F(TransientTest, ALockThatCannotBeTakenIsNotAnotherDaemon) {
  std::filesystem::create_directories(home_.path() + "/run/command");
  for (const char* folder : {"/run", "/run/command"})
    ASSERT_EQ(chmod((home_.path() + folder).c_str(), 0700), 0);
  std::filesystem::create_symlink("/nowhere", home_.path() + "/run/command/supervisor.lock");
  const Outcome outcome = Auspex({"daemon"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("supervisor.lock"), Not(HasSubstr("runs already"))));
}

TEST_F(TransientTest, SystemModeSaysHowToStartTheServices) {
  const Outcome outcome = RunProgram(BuiltProgram("auspex"), {"--system", "status"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("systemctl"));
}

}  // namespace
}  // namespace auspex::cli
