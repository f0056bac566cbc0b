// SPDX-License-Identifier: AGPL-3.0-only
// `auspex daemon` of an enrolled worker, with the lab's coordinator: restart, second instance,
// stop, wrong key, ticks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/json/reader.h"
#include "tests/cli/run_command.h"

namespace auspex::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Contents(const std::string& path) {
  std::stringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

class DaemonTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string state = folder_.path() + "/c";
    ASSERT_EQ(mkdir(state.c_str(), 0700), 0);
    coordinator_ =
        StartProgram(BuiltProgram("auspex-coordd"),
                     {"--state", state, "--listen", "127.0.0.1:0", "--port-file", state + "/port"});
    ASSERT_TRUE(Eventually([&] { return !Contents(state + "/port").empty(); }));
    std::istringstream(Contents(state + "/port")) >> port_;
    MakeHome(home());
    const Outcome outcome = Auspex({"bootstrap"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  void TearDown() override {
    if (daemon_ > 0) Stop(daemon_);
    Stop(coordinator_);
    EXPECT_TRUE(Eventually([this] { return ProcessesWith(folder_.path()).empty(); }));
  }
  void MakeHome(const std::string& path) {
    ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
    std::ofstream(path + "/worker.toml")
        << "[coordinator]\nurl = \"http://127.0.0.1:" << port_
        << "\"\nheartbeat_interval_seconds = 1\nassignment_poll_interval_seconds = 0.1\n"
           "long_poll_seconds = 1\n";
  }
  std::string home() const { return folder_.path() + "/w"; }
  Outcome Auspex(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--home", home()});
    return RunProgram(BuiltProgram("auspex"), arguments, {.timeout_seconds = 60});
  }
  void StartDaemon() {
    daemon_ =
        StartProgram(BuiltProgram("auspex"), {"--home", home(), "daemon"}, folder_.path() + "/log");
    ASSERT_TRUE(Eventually([this] { return Connected(); })) << Contents(folder_.path() + "/log");
  }
  bool Connected() {
    const Outcome outcome = Auspex({"status", "--json"});
    const absl::StatusOr<JsonValue> status = ReadJson(outcome.out);
    if (!status.ok()) return false;
    const JsonValue* connected = status->Find("netd_connected");
    const std::string* beat = status->FindString("last_heartbeat_at");
    const JsonValue* slots = status->Find("slots");
    return connected != nullptr && connected->as_bool() != nullptr && *connected->as_bool() &&
           beat != nullptr && !beat->empty() && slots != nullptr &&
           slots->AsInt64().value_or(0) > 0;
  }
  // Ends a process that this test started; its exit code.
  int Stop(pid_t pid, int signal = SIGTERM) {
    kill(pid, signal);
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  // The running daemon program `name` of the home; 0 when there is none. By its command line: nobody
  // but root may ask what a process that cannot be dumped was started from.
  pid_t Running(const std::string& name) const {
    for (pid_t pid : ProcessesWith(home())) {
      const std::string line = Contents("/proc/" + std::to_string(pid) + "/cmdline");
      const std::filesystem::path program(line.substr(0, line.find('\0')));
      if (program.filename() == name) return pid;
    }
    return 0;
  }

  ScratchFolder folder_;
  int port_ = 0;
  pid_t coordinator_ = 0, daemon_ = 0;
};

TEST_F(DaemonTest, KilledDaemonsComeBack) {
  StartDaemon();
  for (const char* name : {"auspex-keyd", "auspex-stated", "auspex-runnerd", "auspex-netd"}) {
    const pid_t before = Running(name);
    ASSERT_GT(before, 0) << name;
    kill(before, SIGKILL);
    ASSERT_TRUE(Eventually([&] {
      const pid_t now = Running(name);
      return now > 0 && now != before;
    })) << name;
    EXPECT_TRUE(Eventually([this] { return Connected(); })) << name;
  }
  EXPECT_EQ(Stop(daemon_), 0);
  daemon_ = 0;
  EXPECT_TRUE(ProcessesWith(home()).empty());
}

TEST_F(DaemonTest, SecondDaemonIsRefusedAndTheFirstGoesOn) {
  StartDaemon();
  const Outcome second = Auspex({"daemon"});
  EXPECT_EQ(second.code, 2);
  EXPECT_THAT(second.err, HasSubstr("runs already"));
  EXPECT_THAT(second.err, HasSubstr(std::to_string(daemon_)));
  EXPECT_TRUE(Connected());
}

TEST_F(DaemonTest, StatusUsesTheRunningDaemons) {
  StartDaemon();
  const Outcome outcome = Auspex({"status"});
  EXPECT_THAT(outcome.out, HasSubstr("daemons:     running"));
  EXPECT_EQ(Auspex({"pause"}).code, 0);
  EXPECT_THAT(Auspex({"status"}).out, HasSubstr("self_paused"));
  EXPECT_EQ(Auspex({"unpause"}).code, 0);
}

TEST_F(DaemonTest, TicksEndTheRun) {
  const Outcome outcome = Auspex({"daemon", "--max-ticks", "1"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(ProcessesWith(home()).empty());
}

TEST_F(DaemonTest, TicksWithoutCoordinatorFail) {
  Stop(coordinator_);
  const Outcome outcome = Auspex({"daemon", "--max-ticks", "1"});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  coordinator_ = StartProgram("/bin/sleep", {"60"});
}

TEST_F(DaemonTest, AnotherKeyIsRefusedAndBothAreShown) {
  // A second worker's key in the place of the first one's.
  const std::string other = folder_.path() + "/o";
  MakeHome(other);
  ASSERT_EQ(RunProgram(BuiltProgram("auspex"), {"--home", other, "bootstrap"}).code, 0);
  std::filesystem::remove_all(home() + "/state/keyd");
  std::filesystem::rename(other + "/state/keyd", home() + "/state/keyd");
  const Outcome outcome = Auspex({"daemon"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("key in keyd:"));
  EXPECT_THAT(outcome.err, HasSubstr("key enrolled:"));
}

// Started in a terminal that lacks the variable it was enrolled under, a worker would only sit
// there.
TEST_F(DaemonTest, AnotherCoordinatorThanTheEnrolledOneIsRefused) {
  const auto with = [this](const std::string& url, const std::string& verb) {
    return RunProgram("/usr/bin/env", {"AUSPEXAI_COORDINATOR_URL=" + url, BuiltProgram("auspex"),
                                       "--home", home(), verb});
  };
  const Outcome daemon = with("http://127.0.0.1:9", "daemon");
  EXPECT_EQ(daemon.code, 2);
  // It is the last thing said, after what the stopped daemons logged.
  const size_t said = daemon.err.find("but the configuration names http://127.0.0.1:9");
  ASSERT_NE(said, std::string::npos) << daemon.err;
  EXPECT_EQ(daemon.err.find(" proc=", said), std::string::npos) << daemon.err;
  EXPECT_THAT(with("http://127.0.0.1:9", "status").out,
              HasSubstr("(the configuration names another)"));
  // Spelling does not count.
  std::ostringstream same;
  same << "http://127.0.0.1:" << port_ << "/";
  EXPECT_THAT(with(same.str(), "status").out, Not(HasSubstr("names another")));
}

TEST_F(DaemonTest, LostKeyCanBeWithdrawn) {
  std::filesystem::remove_all(home() + "/state/keyd");
  EXPECT_EQ(Auspex({"daemon"}).code, 2);
  const Outcome outcome = Auspex({"withdraw", "--yes"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("no usable key"));
  EXPECT_THAT(Auspex({"status"}).out, HasSubstr("not_enrolled"));
  EXPECT_EQ(Auspex({"bootstrap"}).code, 0);
}

TEST_F(DaemonTest, WithdrawWhileTheDaemonsRun) {
  StartDaemon();
  const Outcome outcome = Auspex({"withdraw", "--yes"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("retired"));
  EXPECT_THAT(Auspex({"status"}).out, HasSubstr("not_enrolled"));
  EXPECT_THAT(Auspex({"key", "show"}).out, HasSubstr("none"));
}

TEST_F(DaemonTest, KilledSupervisorLeavesNothing) {
  StartDaemon();
  Stop(daemon_, SIGKILL);
  daemon_ = 0;
  EXPECT_TRUE(Eventually([this] { return ProcessesWith(home()).empty(); }));
  StartDaemon();
}

}  // namespace
}  // namespace auspex::cli
