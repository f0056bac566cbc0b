// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/process/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "tests/cli/run_command.h"

namespace auspex::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SupervisorTest : public ::testing::Test {
 protected:
  std::vector<std::string> Events() const {
    std::ifstream file(folder_.path() + "/events");
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
  // Numbers of the processes that `name` had, in order.
  std::vector<pid_t> Starts(const std::string& name, const std::string& word = "start") const {
    std::vector<pid_t> out;
    const std::string prefix = name + " " + word + " ";
    for (const std::string& line : Events()) {
      if (line.starts_with(prefix)) out.push_back(std::atoi(line.c_str() + prefix.size()));
    }
    return out;
  }
  pid_t Start(std::vector<std::string> programs) {
    programs.insert(programs.begin(), {"supervise", folder_.path()});
    return StartProgram(CLI_STUB, programs, folder_.path() + "/log");
  }
  int Wait(pid_t pid) const {
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  Outcome Run(std::vector<std::string> programs, const RunOptions& options = {}) {
    programs.insert(programs.begin(), {"supervise", folder_.path()});
    return RunProgram(CLI_STUB, programs, options);
  }
  bool NothingLeft() const {
    return Eventually([this] { return ProcessesWith(folder_.path()).empty(); });
  }

  ScratchFolder folder_;
};

TEST_F(SupervisorTest, StopsInReverseOrderOfStart) {
  const pid_t pid = Start({"keyd:serve", "stated:serve", "runnerd:serve", "netd:serve"});
  ASSERT_TRUE(Eventually([this] { return Events().size() >= 5; }));
  kill(pid, SIGTERM);
  EXPECT_EQ(Wait(pid), 0);
  std::vector<std::string> stops;
  for (const std::string& line : Events()) {
    if (line.ends_with(" stop")) stops.push_back(line);
  }
  EXPECT_THAT(stops, ElementsAre("netd stop", "runnerd stop", "stated stop", "keyd stop"));
  EXPECT_TRUE(NothingLeft());
}

TEST_F(SupervisorTest, StartsKilledDaemonAgain) {
  const pid_t pid = Start({"keyd:serve", "netd:serve"});
  for (size_t round = 1; round <= 4; ++round) {
    ASSERT_TRUE(Eventually([&] { return Starts("keyd").size() == round; })) << round;
    kill(Starts("keyd").back(), SIGKILL);
  }
  ASSERT_TRUE(Eventually([&] { return Starts("keyd").size() == 5; }));
  EXPECT_EQ(Starts("netd").size(), 1u);
  kill(pid, SIGINT);
  EXPECT_EQ(Wait(pid), 0);
  EXPECT_TRUE(NothingLeft());
}

TEST_F(SupervisorTest, RefusalStopsEverythingWithoutLoop) {
  const Outcome outcome = Run({"keyd:serve", "runnerd:refuse", "netd:serve"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("runnerd refused to start"));
  EXPECT_LE(Starts("keyd").size(), 1u);
  EXPECT_TRUE(NothingLeft());
}

TEST_F(SupervisorTest, FailedCheckIsARefusal) {
  const Outcome outcome =
      Run({"keyd:serve", "stated:serve"}, {.environment = {{"STUB_CHECK_FAILS", "1"}}});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("not enrolled"));
  EXPECT_TRUE(NothingLeft());
}

TEST_F(SupervisorTest, ChecksOnce) {
  const pid_t pid = Start({"keyd:serve", "stated:serve"});
  ASSERT_TRUE(Eventually([this] { return !Events().empty() && Events().back() == "check"; }));
  kill(Starts("stated").back(), SIGKILL);
  ASSERT_TRUE(Eventually([this] { return Starts("stated").size() == 2; }));
  kill(pid, SIGTERM);
  Wait(pid);
  const std::vector<std::string> events = Events();
  EXPECT_EQ(std::count(events.begin(), events.end(), "check"), 1);
}

TEST_F(SupervisorTest, EndOfTheWorkGivesItsCode) {
  EXPECT_EQ(Run({"keyd:serve", "netd:end0"}).code, 0);
  EXPECT_EQ(Run({"keyd:serve", "netd:end1"}).code, 1);
  EXPECT_TRUE(NothingLeft());
}

TEST_F(SupervisorTest, KillsWhatDoesNotStop) {
  const pid_t pid = Start({"keyd:stubborn", "netd:serve"});
  ASSERT_TRUE(
      Eventually([this] { return Starts("keyd").size() == 1 && Starts("netd").size() == 1; }));
  kill(pid, SIGTERM);
  EXPECT_EQ(Wait(pid), 0);
  EXPECT_TRUE(NothingLeft());
}

TEST_F(SupervisorTest, ChildrenDieWithAKilledSupervisor) {
  const pid_t pid = Start({"keyd:serve", "netd:serve"});
  ASSERT_TRUE(
      Eventually([this] { return Starts("keyd").size() == 1 && Starts("netd").size() == 1; }));
  kill(pid, SIGKILL);
  Wait(pid);
  EXPECT_TRUE(NothingLeft());
}

TEST_F(SupervisorTest, OrphansOfADaemonAreKilledAtTheEnd) {
  const pid_t pid = Start({"runnerd:orphan", "netd:serve"});
  ASSERT_TRUE(Eventually([this] { return Starts("runnerd").size() == 1; }));
  const std::vector<pid_t> orphans = Starts("runnerd", "orphan");
  ASSERT_EQ(orphans.size(), 1u);
  kill(pid, SIGTERM);
  EXPECT_EQ(Wait(pid), 0);
  EXPECT_NE(kill(orphans[0], 0), 0);
}

TEST(ChildTest, DescribesItsEnd) {
  absl::StatusOr<Child> child = Child::Start({.program = "/bin/sh", .arguments = {"-c", "exit 7"}});
  ASSERT_TRUE(child.ok()) << child.status();
  const std::optional<int> status = child->WaitFor(10'000);
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(ExitCode(*status), 7);
  EXPECT_EQ(DescribeEnd(*status), "exited with code 7");
}

TEST(ChildTest, MissingProgramIsNamed) {
  const absl::StatusOr<Child> child = Child::Start({.program = "/nowhere/auspex-keyd"});
  ASSERT_FALSE(child.ok());
  EXPECT_THAT(std::string(child.status().message()), HasSubstr("/nowhere/auspex-keyd"));
}

TEST(ChildTest, InheritsNoDescriptor) {
  ScratchFolder folder;
  const std::string path = folder.path() + "/list";
  FILE* leaky = std::fopen("/dev/null", "r");  // without O_CLOEXEC
  ASSERT_NE(leaky, nullptr);
  absl::StatusOr<Child> child =
      Child::Start({.program = "/bin/sh", .arguments = {"-c", "ls /proc/self/fd > " + path}});
  ASSERT_TRUE(child.ok());
  child->WaitFor(10'000);
  std::fclose(leaky);
  std::ifstream list(path);
  std::vector<int> fds;
  for (int fd; list >> fd;) fds.push_back(fd);
  // ls has 0, 1, 2 and the folder that it lists.
  EXPECT_THAT(fds, ElementsAre(0, 1, 2, 3));
}

}  // namespace
}  // namespace auspex::cli
