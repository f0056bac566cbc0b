// SPDX-License-Identifier: AGPL-3.0-only
// `auspex lab` for real: a small experiment, an interrupted one, one that is kept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "common/json/reader.h"
#include "tests/cli/run_command.h"

namespace auspex::cli {
namespace {

using ::testing::HasSubstr;

class LabRunTest : public ::testing::Test {
 protected:
  Outcome Lab(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "lab");
    return RunProgram(BuiltProgram("auspex"), arguments,
                      {.environment = {{"TMPDIR", folder_.path()}}, .timeout_seconds = 100});
  }
  void ExpectNothingLeft() {
    EXPECT_TRUE(Eventually([this] { return ProcessesWith(folder_.path()).empty(); }));
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
  }
  static std::string Text(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  // The coordinator's process when the lab that writes `log` has begun its experiment; 0: it never did.
  pid_t AwaitExperiment(const std::string& log) const {
    const std::string coordinator = BuiltProgram("auspex-coordd");
    if (!Eventually([&] { return Text(log).find(" results") != std::string::npos; }, 100)) return 0;
    for (const pid_t pid : ProcessesWith(folder_.path() + "/auspex-lab")) {
      std::error_code error;
      const auto program =
          std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe", error);
      if (program == coordinator) return pid;
    }
    return 0;
  }
  static int EndOf(pid_t pid) {
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  ScratchFolder folder_;
};

TEST_F(LabRunTest, SmallExperimentAgreesAndIsVerified) {
  const Outcome outcome = Lab({"--units", "4", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err << outcome.out;
  EXPECT_EQ(outcome.err, "");
  const absl::StatusOr<JsonValue> report = ReadJson(outcome.out);
  ASSERT_TRUE(report.ok()) << outcome.out;
  EXPECT_EQ(report->Find("agreed")->AsInt64(), 4);
  EXPECT_EQ(report->Find("results")->AsInt64(), 8);
  EXPECT_EQ(report->Find("receipts_verified")->AsInt64(), 8);
  // Without an attack nearly every digit is right; under the strongest nearly none.
  const JsonArray& points = *report->Find("points")->as_array();
  EXPECT_GT(*points.front().Find("accuracy_mean")->AsNumber(), 0.9);
  EXPECT_LT(*points.back().Find("accuracy_mean")->AsNumber(), 0.1);
  ExpectNothingLeft();
}

TEST_F(LabRunTest, TextReportHasTableAndPlot) {
  const Outcome outcome = Lab({"--units", "2", "--workers", "1", "--replication", "1"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* text : {"EPSILON", "100 %|", "2 of 2 units agreed on",
                           "2 of 2 receipts verified", "units/s", "journal"}) {
    EXPECT_THAT(outcome.out, HasSubstr(text));
  }
  ExpectNothingLeft();
}

TEST_F(LabRunTest, OnePointIsNoPlot) {
  const Outcome outcome = Lab({"--units", "1", "--workers", "1", "--replication", "1"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("1 of 1 receipts verified"));
  EXPECT_THAT(outcome.out, HasSubstr("EPSILON"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("100 %|")));
  ExpectNothingLeft();
}

TEST_F(LabRunTest, InterruptLeavesNothing) {
  const pid_t pid = StartProgram("/usr/bin/env", {"TMPDIR=" + folder_.path(),
                                                  BuiltProgram("auspex"), "lab", "--units", "500"});
  ASSERT_TRUE(
      Eventually([this] { return ProcessesWith(folder_.path() + "/auspex-lab").size() >= 6; }));
  kill(pid, SIGINT);
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 1);
  ExpectNothingLeft();
}

// On a slow machine a coordinator may be silent for longer than any one call waits; a stopped process
// is as slow as can be.
TEST_F(LabRunTest, ACoordinatorThatIsSilentForAWhileIsWaitedForWhileItRuns) {
  const std::string log = folder_.path() + "/log";
  const pid_t pid = StartProgram(
      "/usr/bin/env", {"TMPDIR=" + folder_.path(), BuiltProgram("auspex"), "lab", "--units", "40"},
      log);
  const pid_t coordinator = AwaitExperiment(log);
  ASSERT_GT(coordinator, 0);
  kill(coordinator, SIGSTOP);
  sleep(15);
  kill(coordinator, SIGCONT);
  EXPECT_EQ(EndOf(pid), 0) << Text(log);
  EXPECT_THAT(Text(log), HasSubstr("80 of 80 receipts verified"));
  std::filesystem::remove(log);
  ExpectNothingLeft();
}

TEST_F(LabRunTest, ACoordinatorThatEndedIsNotWaitedFor) {
  const std::string log = folder_.path() + "/log";
  const pid_t pid = StartProgram(
      "/usr/bin/env", {"TMPDIR=" + folder_.path(), BuiltProgram("auspex"), "lab", "--units", "500"},
      log);
  const pid_t coordinator = AwaitExperiment(log);
  ASSERT_GT(coordinator, 0);
  kill(coordinator, SIGKILL);
  EXPECT_EQ(EndOf(pid), 1);
  EXPECT_THAT(Text(log), HasSubstr("the coordinator was killed by signal 9"));
  std::filesystem::remove(log);
  ExpectNothingLeft();
}

TEST_F(LabRunTest, KeptLabGoesOnAndCanBeStopped) {
  const Outcome outcome = Lab({"--units", "2", "--keep", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const absl::StatusOr<JsonValue> report = ReadJson(outcome.out);
  ASSERT_TRUE(report.ok());
  const std::string home = *(*report->Find("workers")->as_array())[0].FindString("home");
  const Outcome status = RunProgram(BuiltProgram("auspex"), {"--home", home, "status"});
  EXPECT_THAT(status.out, HasSubstr("daemons:     running"));
  const std::string directory = *report->FindString("directory");
  EXPECT_EQ(*report->FindString("stop"), "auspex lab --stop " + directory);
  EXPECT_EQ(Lab({"--stop", directory}).code, 0);
  ExpectNothingLeft();
}

TEST_F(LabRunTest, StopTouchesNothingElse) {
  // A list that names this very process, in a folder that no process of a lab has.
  std::filesystem::create_directory(folder_.path() + "/x");
  std::ofstream(folder_.path() + "/x/processes") << getpid() << "\n1\n-1\n";
  EXPECT_EQ(Lab({"--stop", folder_.path() + "/x"}).code, 0);
  EXPECT_EQ(Lab({"--stop", folder_.path() + "/nothing"}).code, 1);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

}  // namespace
}  // namespace auspex::cli
