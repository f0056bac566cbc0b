// SPDX-License-Identifier: AGPL-3.0-only
// `auspex daemon` of an enrolled worker, with the lab's coordinator: restart, second instance,
// stop, wrong key, ticks, and the passphrase of a person at a terminal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>
#include <utility>

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

// `auspex` as the program of a terminal at which a person sits.
class Terminal {
 public:
  Terminal(const std::string& home, const std::vector<std::string>& arguments) {
    std::vector<std::string> argv{BuiltProgram("auspex"), "--home", home};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    std::vector<char*> args;
    for (std::string& text : argv) args.push_back(text.data());
    args.push_back(nullptr);
    pid_ = ::forkpty(&terminal_, nullptr, nullptr, nullptr);
    if (pid_ == 0) {
      ::execv(args[0], args.data());
      ::_exit(127);
    }
    // Always read, so that nobody waits for room to write.
    reader_ = std::thread([this] {
      char buffer[512];
      for (ssize_t got; (got = ::read(terminal_, buffer, sizeof buffer)) > 0;) {
        const std::lock_guard lock(mutex_);
        shown_.append(buffer, static_cast<size_t>(got));
      }
    });
  }
  ~Terminal() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      End();
    }
  }
  std::string shown() const {
    const std::lock_guard lock(mutex_);
    return shown_;
  }
  void Type(const std::string& octets) const {
    EXPECT_EQ(::write(terminal_, octets.data(), octets.size()),
              static_cast<ssize_t>(octets.size()));
  }
  // Waits for the question and types what is to be the passphrase.
  void Answer(const std::string& phrase) const {
    EXPECT_TRUE(Eventually([this] {
      return shown().find("Passphrase of the key: ") != std::string::npos;
    })) << shown();
    Type(phrase + "\n");
  }
  // Waits for the end; the exit code.
  int End() {
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    reader_.join();
    ::close(terminal_);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  int terminal_ = -1;
  pid_t pid_ = -1;
  mutable std::mutex mutex_;
  std::string shown_;  // guarded by mutex_
  std::thread reader_;
};

class PassphraseDaemonTest : public DaemonTest {
 protected:
  // The key of the enrolled worker from now on opens with kPhrase alone.
  void SetUp() override {
    DaemonTest::SetUp();
    Terminal seal(home(), {"key", "seal", "--seal", "passphrase", "--ask-passphrase"});
    seal.Answer(kPhrase);
    ASSERT_TRUE(Eventually([&] {
      return seal.shown().find("The same again: ") != std::string::npos;
    })) << seal.shown();
    seal.Type(std::string(kPhrase) + "\n");
    ASSERT_EQ(seal.End(), 0) << seal.shown();
  }
  static constexpr char kPhrase[] = "correct horse battery";
};

TEST_F(PassphraseDaemonTest, TheWrongOneStartsNothingAndSaysWhy) {
  for (const char* phrase : {"correct horse batterz", "short", ""}) {
    Terminal terminal(home(), {"daemon", "--ask-passphrase"});
    terminal.Answer(phrase);
    EXPECT_EQ(terminal.End(), 2) << terminal.shown();
    EXPECT_THAT(terminal.shown(), HasSubstr("passphrase"));
    EXPECT_TRUE(ProcessesWith(home()).empty());
  }
  // Nor does none.
  const Outcome without = Auspex({"daemon"});
  EXPECT_EQ(without.code, 2);
  EXPECT_THAT(without.err, HasSubstr("--ask-passphrase"));
}

TEST_F(PassphraseDaemonTest, TheRightOneStartsTheWorkerAndIsAskedForOnce) {
  Terminal terminal(home(), {"daemon", "--ask-passphrase"});
  terminal.Answer(kPhrase);
  ASSERT_TRUE(Eventually([this] { return Connected(); })) << terminal.shown();
  // keyd that has to start again opens its key again, with nobody at the terminal.
  const pid_t before = Running("auspex-keyd");
  ASSERT_GT(before, 0);
  kill(before, SIGKILL);
  ASSERT_TRUE(Eventually([&] {
    const pid_t now = Running("auspex-keyd");
    return now > 0 && now != before;
  })) << terminal.shown();
  EXPECT_TRUE(Eventually([this] { return Connected(); })) << terminal.shown();
  EXPECT_THAT(Auspex({"key", "show"}).out, HasSubstr("passphrase"));
  // Ctrl-C.
  terminal.Type("\x03");
  EXPECT_EQ(terminal.End(), 0) << terminal.shown();
  EXPECT_THAT(terminal.shown(), Not(HasSubstr(kPhrase)));
  EXPECT_TRUE(ProcessesWith(home()).empty());
}

}  // namespace
}  // namespace auspex::cli
