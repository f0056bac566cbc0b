// SPDX-License-Identifier: AGPL-3.0-only
// How busy other work keeps the machine: by given files, and by real processes of which some are a
// worker's and some are not.
#include "runnerd/processor_time.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "tests/runnerd/fixture.h"

namespace auspex::runnerd {
namespace {

constexpr int64_t kSecond = 1'000'000;

TEST(ProcessorTime, IdleWaitingAndLentTimeAreNotBusy) {
  // Ticks are hundredths of a second wherever Linux shows them.
  const auto machine = ParseMachineTime(
      "cpu  955377 802845 329537 100 20 0 5094 3 1 0\n"
      "cpu0 480040 399602 155207 50 10 0 584 1 0 0\n"
      "cpu1 475336 403243 174329 50 10 0 4509 2 0 0\n"
      "intr 1 2 3\n");
  ASSERT_TRUE(machine.ok()) << machine.status();
  EXPECT_EQ(machine->processors, 2);
  EXPECT_EQ(machine->idle_micros, 1'230'000);
  for (const char* text : {"", "x", "cpu  1 2 3 4 5 6 7 8\n", "cpu0 1 2 3 4 5 6 7 8\n",
                           "cpu  1 2 3\ncpu0 1 2 3\n", "cpu  a b c\ncpu0 1\n"})
    EXPECT_FALSE(ParseMachineTime(text).ok()) << text;
}

TEST(ProcessorTime, OfATreeIsWhatItUsedAndWhatItWaitedFor) {
  ScratchFolder folder;
  const std::string proc = folder.path() + "/proc";
  // pid (name) state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime
  // cutime cstime
  folder.Write("proc/7/stat", "7 (auspex-runnerd) S 1 1 1 0 -1 0 0 0 0 0 1 2 4 8 20 0\n");
  folder.Write("proc/100/stat", "100 (bwrap) S 7 1 1 0 -1 0 0 0 0 0 100 0 0 0 20 0\n");
  folder.Write("proc/101/stat", "101 (evil) R 1 () S 100 1 1 0 -1 0 0 0 0 0 1000 0 0 0 20 0\n");
  folder.Write("proc/200/stat", "200 (other) R 1 1 1 0 -1 0 0 0 0 0 9999 9 9 9 20 0\n");
  folder.Write("proc/300/stat", "300 (cut off) R 7 1 1");
  EXPECT_EQ(*TreeMicros(proc, 7), (15 + 100 + 1000) * 10'000);
  EXPECT_EQ(*ProcessMicros(proc, 7), 3 * 10'000);
  EXPECT_FALSE(TreeMicros(proc, 8).ok());
  EXPECT_FALSE(ProcessMicros(proc, 8).ok());
}

TEST(OthersLoad, IsTheMeanOfTenSecondsOfWhatIsBusyAndNotTheWorkers) {
  OthersLoad load;
  load.Sample(0, {4, 0}, 0);
  EXPECT_FALSE(load.value());
  // Of four processors one idle and one the worker's.
  load.Sample(kSecond, {4, kSecond}, kSecond);
  EXPECT_DOUBLE_EQ(*load.value(), 2) << "as if it had always been so";
  int64_t idle = kSecond;
  for (int i = 2; i <= 11; ++i)
    load.Sample(i * kSecond, {4, idle += 3 * kSecond}, (i - 1) * kSecond);
  EXPECT_NEAR(*load.value(), 2 / std::exp(1), 0.3) << "the worker used 10 s of what was not idle";
  // A count that came late is made good by the next one.
  OthersLoad late;
  late.Sample(0, {1, 0}, 0);
  late.Sample(kSecond, {1, 0}, kSecond / 2);
  late.Sample(2 * kSecond, {1, 0}, 2 * kSecond);
  EXPECT_NEAR(*late.value(), 0.5 * std::exp(-0.1) - 0.5 * (1 - std::exp(-0.1)), 1e-9);
}

// What a killed tree had used is no longer told by anybody: ten minutes of it are no other work.
TEST(OthersLoad, ATreeThatIsGoneIsNoOtherWork) {
  OthersLoad load;
  load.Sample(0, {2, 0}, 600 * kSecond);
  load.Sample(kSecond, {2, kSecond}, 601 * kSecond);
  EXPECT_DOUBLE_EQ(*load.value(), 0);
  load.Sample(2 * kSecond, {2, 2 * kSecond}, 1 * kSecond);
  EXPECT_LE(*load.value(), 1) << "no more than was not idle meanwhile";
}

TEST(OthersLoad, BeginsAnewWhenAProcessorComesAndNeverCountsMoreIdleTimeThanThereIs) {
  OthersLoad load;
  load.Sample(0, {2, 0}, 0);
  load.Sample(kSecond, {4, 99 * kSecond}, 0);
  EXPECT_FALSE(load.value());
  load.Sample(2 * kSecond, {4, 0}, 0);
  EXPECT_DOUBLE_EQ(*load.value(), 4) << "idle time that went back";
  load.Sample(3 * kSecond, {4, 999 * kSecond}, 0);
  EXPECT_NEAR(*load.value(), 4 * std::exp(-0.1), 1e-9);
  load.Sample(3 * kSecond, {4, 0}, 0);
  EXPECT_NEAR(*load.value(), 4 * std::exp(-0.1), 1e-9) << "no time went by";
}

// A child that is killed with this process and runs `body` for ever.
template <typename Body>
pid_t Fork(Body body) {
  const pid_t child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  body();
  _exit(0);
}
[[noreturn]] void Spin() {
  for (std::atomic<int> spins = 0;;) spins.fetch_add(1);
}

// A unit has sixteen processes that all want to run, which by their number would have covered sixteen
// of anybody's.
TEST(OthersLoad, WhatAUnitWantsAndDoesNotGetHidesNoOtherWork) {
  const pid_t unit = Fork([] {
    for (int i = 0; i < 16; ++i) Fork(Spin);
    pause();
  });
  const pid_t other = Fork(Spin);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  OthersLoad load;
  int64_t at[2], others_own[2], units[2], between = 0;
  for (int i : {0, 1}) {
    if (i == 1) std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    const auto machine = ParseMachineTime(ReadWhole("/proc/stat"));
    ASSERT_TRUE(machine.ok()) << machine.status();
    at[i] = Clock::System().MonotonicMicros();
    units[i] = TreeMicros("/proc", unit).value_or(-1);
    others_own[i] = ProcessMicros("/proc", other).value_or(-1);
    between += Clock::System().MonotonicMicros() - at[i];
    load.Sample(at[i], *machine, units[i]);
  }
  for (const pid_t pid : {unit, other}) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  const double elapsed = static_cast<double>(at[1] - at[0]);
  ASSERT_TRUE(load.value());
  EXPECT_GT(units[1] - units[0], 0);
  // Counts of a hundredth of a second, and what every processor can do between two of them.
  const double processors = static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN));
  const double error = 100'000 + processors * static_cast<double>(between);
  EXPECT_GE(*load.value() * elapsed, static_cast<double>(others_own[1] - others_own[0]) - error)
      << "the other one's own time is in it";
  EXPECT_GT(others_own[1] - others_own[0], 0);
  EXPECT_LE(*load.value() * elapsed + static_cast<double>(units[1] - units[0]),
            elapsed * processors + error)
      << "and the unit's is not";
}

}  // namespace
}  // namespace auspex::runnerd
