// SPDX-License-Identifier: AGPL-3.0-only
// The gate: it runs the one program that it was started with, with one of four words, and ends it in
// time; nothing that the other side says makes it do more.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "keyd/gate/gate.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Command = HelperGate::Command;

struct Answer {
  HelperGate::End end;
  std::string text;
};

Answer Ask(HelperGate& gate, Command command, int timeout_ms, const std::string& input = "") {
  // As keyd does: who does not read what it is given is no reason to die.
  ::signal(SIGPIPE, SIG_IGN);
  std::array<unsigned char, 96> output{};
  const absl::StatusOr<HelperGate::End> end =
      gate.Run(command, timeout_ms,
               {reinterpret_cast<const unsigned char*>(input.data()), input.size()}, output);
  EXPECT_TRUE(end.ok()) << end.status();
  if (!end.ok()) return {};
  const size_t size = std::min(end->output_octets, output.size());
  return {*end, std::string(reinterpret_cast<const char*>(output.data()), size)};
}

TEST(Gate, HandsOverWhatTheProgramSaysAndHowItEnds) {
  // echo prints its one argument, which is the command's word.
  const auto gate = *HelperGate::Start("/usr/bin/echo", {});
  for (const auto& [command, word] : {std::pair{Command::kProbe, "probe\n"},
                                      {Command::kLoad, "load\n"},
                                      {Command::kStore, "store\n"},
                                      {Command::kDelete, "delete\n"}}) {
    const Answer answer = Ask(*gate, command, 10'000, "ignored");
    EXPECT_EQ(answer.text, word);
    EXPECT_EQ(answer.end.exit_code, 0);
    EXPECT_FALSE(answer.end.timed_out);
  }
}

TEST(Gate, RunsTheHelperAndNothingElse) {
  // The program's own right to be started, given to a program that starts others: `env probe` would
  // run a program of that name, and Landlock does not let it start any.
  const ScratchDir dir;
  const std::string other = dir.path() + "/probe";
  std::ofstream(other) << "#!/bin/sh\necho started\n";
  ASSERT_EQ(::chmod(other.c_str(), 0700), 0);
  const auto gate = *HelperGate::Start("/usr/bin/env", {"PATH=" + dir.path()});
  const Answer answer = Ask(*gate, Command::kProbe, 10'000);
  EXPECT_NE(answer.end.exit_code, 0);
  EXPECT_EQ(answer.text, "");
  EXPECT_THAT(answer.end.message, HasSubstr("ermission denied"));
}

TEST(Gate, AProgramWithoutAnEndIsEndedInTime) {
  const auto gate = *HelperGate::Start("/usr/bin/yes", {});
  const Answer answer = Ask(*gate, Command::kLoad, 100);
  EXPECT_TRUE(answer.end.timed_out);
  EXPECT_EQ(answer.end.exit_code, 128 + SIGKILL);
  EXPECT_GT(answer.end.output_octets, 96u) << "more than there is room for is counted, not kept";
  EXPECT_EQ(answer.text.size(), 96u);
  // And the gate is as good as before.
  EXPECT_TRUE(Ask(*gate, Command::kLoad, 50).end.timed_out);
}

// Processes that run `program`.
std::vector<std::string> Running(const std::string& program) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::error_code not_ours;
    const auto runs = std::filesystem::read_symlink(entry.path() / "exe", not_ours);
    if (runs.filename() == program) found.push_back(entry.path());
  }
  return found;
}

// A grandchild in a session of its own, with the outputs in its hands, would outlive the helper and hold keyd up: there cannot be one.
TEST(Gate, TheProgramMakesThreadsButNoProcessThatCouldOutliveIt) {
  const std::string bin = std::getenv("AUSPEX_BIN_DIR");
  const auto gate = *HelperGate::Start(bin + "/../tests/keyd_gate_forker", {});
  for (const bool hangs : {false, true}) {
    const Answer answer =
        Ask(*gate, hangs ? Command::kLoad : Command::kProbe, hangs ? 2000 : 10'000);
    EXPECT_EQ(answer.text, "fork EPERM, clone EPERM, clone3 ENOSYS, spawn EPERM, thread ran\n");
    EXPECT_EQ(answer.end.timed_out, hangs);
    EXPECT_THAT(Running("keyd_gate_forker"), IsEmpty());
  }
}

TEST(Gate, AProgramThatIsNotThereIsAnErrorAndNoHang) {
  const auto gate = *HelperGate::Start("/nonexistent/helper", {});
  EXPECT_EQ(Ask(*gate, Command::kProbe, 10'000).end.exit_code, 127);
}

TEST(Gate, WhoAsksForTooLongATimeLosesIt) {
  const auto gate = *HelperGate::Start("/usr/bin/echo", {});
  std::array<unsigned char, 8> output{};
  EXPECT_EQ(gate->Run(Command::kProbe, 700'000, {}, output).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(gate->Run(Command::kProbe, 100, {}, output).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST(Gate, GivesTheProgramItsEnvironmentAndNothingOfOurs) {
  ASSERT_EQ(::setenv("AUSPEX_TEST_SECRET", "ours", 1), 0);
  // printenv prints the value of the one variable that its argument names.
  const auto ours = *HelperGate::Start("/usr/bin/printenv", {"load=given", "store=told"});
  EXPECT_EQ(Ask(*ours, Command::kLoad, 10'000).text, "given\n");
  EXPECT_EQ(Ask(*ours, Command::kStore, 10'000).text, "told\n");
  EXPECT_EQ(Ask(*ours, Command::kDelete, 10'000).end.exit_code, 1);
}

}  // namespace
}  // namespace auspex::keyd
