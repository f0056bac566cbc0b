// SPDX-License-Identifier: AGPL-3.0-only
// The governor: what it decides by given readings, what it reads of given and of the real files, and
// what its orders do to units that wait, prepare and run.
#include "runnerd/governor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <mutex>
#include <thread>

#include "common/base/cat.h"
#include "runnerd/govern.h"
#include "runnerd/governor_loop.h"
#include "runnerd/host_gauges.h"
#include "runnerd/slots.h"
#include "tests/runnerd/fixture.h"

namespace auspex::runnerd {
namespace {

using testing::HasSubstr;

GovernorLimits Bounds(double load, double pressure, int64_t disk_mb) {
  return {load, pressure, disk_mb};
}

std::string Word(Governor& governor, const GovernorReadings& readings,
                 const GovernorLimits& limits) {
  return std::string(StrainWord(governor.Decide(readings, limits).strain));
}

TEST(Governor, LeavesEachBoundLaterThanItReachedIt) {
  Governor governor;
  GovernorReadings readings;
  const GovernorLimits limits = Bounds(4, 10, 1200);
  EXPECT_EQ(Word(governor, readings, limits), "");
  for (const auto& [load, word] : std::vector<std::pair<double, const char*>>{
           {3.99, ""}, {4, "load"}, {3.5, "load"}, {3, "load"}, {2.99, ""}, {3.5, ""}}) {
    readings.others_load = load;
    EXPECT_EQ(Word(governor, readings, limits), word) << load;
  }
  for (const auto& [percent, word] : std::vector<std::pair<double, const char*>>{
           {9.9, ""}, {10, "memory"}, {7.5, "memory"}, {7.4, ""}, {8, ""}}) {
    readings.memory_pressure = percent;
    EXPECT_EQ(Word(governor, readings, limits), word) << percent;
  }
  for (const auto& [megabytes, word] : std::vector<std::pair<int64_t, const char*>>{
           {1200, ""}, {1199, "disk"}, {1200, "disk"}, {1599, "disk"}, {1600, ""}, {1300, ""}}) {
    readings.free_disk_mb = megabytes;
    EXPECT_EQ(Word(governor, readings, limits), word) << megabytes;
  }
}

TEST(Governor, NamesTheFirstOfSeveralWithItsFiguresAndKeepsTheOthersInMind) {
  Governor governor;
  GovernorReadings readings;
  readings.thermal = {ThermalState::kCritical, 91.5, 1};
  readings.others_load = 8.0;
  readings.memory_pressure = 50.0;
  readings.free_disk_mb = 7;
  const GovernorLimits limits = Bounds(4, 10, 1024);
  Verdict verdict = governor.Decide(readings, limits);
  EXPECT_EQ(StrainWord(verdict.strain), "hot");
  EXPECT_THAT(verdict.reason, HasSubstr("91.5 C"));
  readings.thermal = {};
  verdict = governor.Decide(readings, limits);
  EXPECT_EQ(verdict.reason, "load without units 8.0, governor.max_load 4.0");
  readings.others_load = 0.0;
  // Between the two edges, where only a latch that moved all along says memory.
  readings.memory_pressure = 8.0;
  verdict = governor.Decide(readings, limits);
  EXPECT_EQ(StrainWord(verdict.strain), "memory");
  EXPECT_THAT(verdict.reason, HasSubstr("8.0 % of ten seconds"));
  readings.memory_pressure = 0.0;
  verdict = governor.Decide(readings, limits);
  EXPECT_EQ(verdict.reason, "free disk 7 MiB, governor.min_free_disk_mb 1024");
}

TEST(Governor, WhatCannotBeReadHoldsUpOnlyWhatTheOwnerAskedFor) {
  Governor governor;
  GovernorReadings readings;
  readings.others_load = absl::InternalError("no load");
  readings.memory_pressure = absl::NotFoundError("no pressure");
  readings.free_disk_mb = absl::InternalError("no disk");
  EXPECT_EQ(Word(governor, readings, {std::nullopt, 10, 0}), "") << "kernels without PSI";
  EXPECT_THAT(governor.Decide(readings, {4.0, 10, 0}).reason, HasSubstr("no load"));
  EXPECT_THAT(governor.Decide(readings, {std::nullopt, 10, 1}).reason, HasSubstr("no disk"));
}

TEST(Governor, WhatIsSwitchedOffIsNotLookedAt) {
  Governor governor;
  GovernorReadings readings;
  readings.others_load = 1000.0;
  readings.memory_pressure = 100.0;
  readings.free_disk_mb = 0;
  EXPECT_EQ(Word(governor, readings, {std::nullopt, 100, 0}), "");
}

TEST(HostGauges, ReadsWhatTheBoundsNeed) {
  ScratchFolder folder;
  folder.Write("proc/loadavg", "3.25 1.00 0.50 2/95 20739\n");
  folder.Write("proc/pressure/memory",
               "some avg10=99.00 avg60=0.00 avg300=0.00 total=1\n"
               "full avg10=12.34 avg60=0.00 avg300=0.00 total=1\n");
  // A unit's process with a thread that runs and one that waits for a disk, and a stranger.
  folder.Write("proc/100/stat", "100 (bwrap) S 7 1 1 0\n");
  folder.Write("proc/101/stat", "101 (evil) R 9 () S 100 1 1 0\n");
  folder.Write("proc/101/task/101/stat", "101 (x) R 100 1\n");
  folder.Write("proc/101/task/102/stat", "102 (x) D 100 1\n");
  folder.Write("proc/101/task/103/stat", "103 (x) S 100 1\n");
  folder.Write("proc/200/stat", "200 (other) R 1 1 1 0\n");
  folder.Write("proc/200/task/200/stat", "200 (other) R 1 1\n");
  EXPECT_EQ(*CountLoadingThreads(folder.path() + "/proc", 7), 2);
  HostGauges gauges(folder.path(), folder.path(), 7);
  const GovernorReadings readings = gauges.Read(Bounds(1, 10, 1), 1'000'000);
  EXPECT_DOUBLE_EQ(*readings.others_load, 3.25 - 2);
  EXPECT_DOUBLE_EQ(*readings.memory_pressure, 12.34);
  EXPECT_GT(*readings.free_disk_mb, 0);
  HostGauges none(folder.path() + "/none", folder.path() + "/none", 7);
  const GovernorReadings missing = none.Read(Bounds(1, 10, 1), 1'000'000);
  EXPECT_FALSE(missing.others_load.ok());
  EXPECT_FALSE(missing.memory_pressure.ok());
  EXPECT_FALSE(missing.free_disk_mb.ok());
  for (const char* text : {"", "x", "-1 0 0", "nan 0 0", "inf 0 0"})
    EXPECT_FALSE(ParseLoadAverage(text).ok()) << text;
  for (const char* text : {"", "some avg10=1.00", "full avg10=x"})
    EXPECT_FALSE(ParseFullPressure(text).ok()) << text;
}

// The kernel adds n to its mean of a minute in the same way, so what is left over is the others'.
TEST(HostGauges, TheUnitsPartOfTheLoadFollowsTheKernelsMean) {
  UnitsLoad units;
  units.Sample(4, 0);
  EXPECT_DOUBLE_EQ(units.value(), 4) << "as if it had always been so";
  for (int second = 1; second <= 60; ++second) units.Sample(0, second * 1'000'000);
  EXPECT_NEAR(units.value(), 4 / std::exp(1), 1e-9);
  for (int second = 61; second <= 600; ++second) units.Sample(2, second * 1'000'000);
  EXPECT_NEAR(units.value(), 2, 0.01);
}

TEST(HostGauges, TheRealMachineHasThem) {
  ScratchFolder folder;
  HostGauges gauges("", folder.path(), getpid());
  EXPECT_TRUE(gauges.Read(Bounds(1, 100, 1), 0).others_load.ok());
  // A child of this test that works, and one that sleeps.
  const pid_t busy = fork();
  if (busy == 0) {
    for (std::atomic<int> spins = 0;;) spins.fetch_add(1);
  }
  const pid_t idle = fork();
  if (idle == 0) {
    for (;;) pause();
  }
  int seen = 0;
  for (int i = 0; i < 200 && seen == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    seen = CountLoadingThreads("/proc", getpid()).value_or(-1);
  }
  EXPECT_EQ(seen, 1);
  kill(busy, SIGKILL);
  kill(idle, SIGKILL);
  waitpid(busy, nullptr, 0);
  waitpid(idle, nullptr, 0);
  EXPECT_EQ(*CountLoadingThreads("/proc", getpid()), 0);
}

TEST(GovernorLoop, ActsOnTheFirstLookAndWithinASecondOrTwoOfAChange) {
  ScratchFolder folder;
  const auto pressure = [&](const char* percent) {
    folder.Write("proc/pressure/memory", Cat("full avg10=", percent, " avg60=0.00\n"));
  };
  pressure("50.00");
  ThermalGovernor thermal({}, folder.path() + "/thermal");
  std::mutex mutex;
  std::vector<std::string> words;
  GovernorLoop loop({thermal, [] { return Config(); },
                     [&](const Verdict& verdict, const Config&) {
                       const std::lock_guard lock(mutex);
                       words.emplace_back(StrainWord(verdict.strain));
                     },
                     folder.path(), folder.path()});
  loop.Start();
  {
    const std::lock_guard lock(mutex);
    ASSERT_FALSE(words.empty());
    EXPECT_EQ(words.front(), "memory");
  }
  pressure("1.00");
  for (int i = 0; i < 200 && !loop.Last().may_run(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
  EXPECT_TRUE(loop.Last().may_run());
  loop.Stop();
}

Unit UnitNamed(const std::string& name) {
  return Unit{*AssignmentId::Parse("asg-" + name),
              *UnitId::Parse(name),
              *TenantId::Parse("test-lab"),
              *ExperimentLabel::Parse("some-experiment"),
              *Sha256Hex::Parse(std::string(64, 'a')),
              "2026-07-19T12:00:00Z",
              "{}",
              false,
              {}};
}

Slots::Orders Strained(bool freeze, double seconds = 600) {
  return {EndReason::kMemory, true, freeze, seconds};
}

// A slot's work that stays in one phase until it is told to end; how it ended.
struct Work {
  std::mutex mutex;
  std::vector<std::string> ended;
  std::atomic<int> begun = 0, executing = 0;
  bool prepares_only = false;

  void operator()(const Unit& unit, RunControl& control) {
    ++begun;
    bool executed = false;
    if (!prepares_only && control.BeginExecutor()) {
      ++executing;
      executed = true;
    }
    control.WaitRequested(60);
    const std::lock_guard lock(mutex);
    ended.push_back(Cat(unit.unit_id.str(), executed ? " executing " : " preparing ",
                        static_cast<int>(control.reason())));
  }
};

template <typename Fact>
bool Soon(Fact fact) {
  for (int i = 0; i < 1000; ++i) {
    if (fact()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

TEST(SlotOrders, NothingBeginsWhileHeldAndAllOfItAfterwards) {
  Work work;
  Slots slots(2, std::ref(work));
  EXPECT_TRUE(slots.Obey(Strained(true)));
  EXPECT_FALSE(slots.Obey(Strained(true))) << "the same again";
  slots.Add(UnitNamed("a"));
  slots.Add(UnitNamed("b"));
  slots.Obey(Strained(true));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(work.begun, 0);
  // One that the owner refuses meanwhile goes without having run.
  slots.End("asg-a", EndReason::kEnded);
  EXPECT_TRUE(Soon([&] { return !slots.InHand("asg-a"); }));
  EXPECT_EQ(work.begun, 0);
  EXPECT_TRUE(slots.Obey({}));
  EXPECT_TRUE(Soon([&] { return work.executing == 1; }));
  slots.Stop(0);
}

TEST(SlotOrders, WhatExecutesIsFrozenAndThawed) {
  Work work;
  Slots slots(1, std::ref(work));
  slots.Add(UnitNamed("a"));
  ASSERT_TRUE(Soon([&] { return work.executing == 1; }));
  EXPECT_TRUE(slots.Obey(Strained(true)));
  EXPECT_EQ(slots.CountFrozen(), 1);
  EXPECT_TRUE(slots.ListRunning()[0].frozen);
  EXPECT_TRUE(slots.Obey({}));
  EXPECT_EQ(slots.CountFrozen(), 0);
  EXPECT_TRUE(work.ended.empty());
  slots.Stop(0);
}

TEST(SlotOrders, WhatCannotBeFrozenIsEndedWithTheReason) {
  Work work;
  Slots slots(1, std::ref(work));
  slots.Add(UnitNamed("a"));
  ASSERT_TRUE(Soon([&] { return work.executing == 1; }));
  slots.Obey(Strained(false));
  EXPECT_TRUE(Soon([&] { return !slots.InHand("asg-a"); }));
  EXPECT_THAT(work.ended,
              testing::ElementsAre(Cat("a executing ", static_cast<int>(EndReason::kMemory))));
}

// Also what only waits, so that the coordinator can give it to somebody else.
TEST(SlotOrders, NothingWaitsForLongerThanTheOwnerAllows) {
  Work work;
  Slots slots(1, std::ref(work));
  slots.Add(UnitNamed("a"));
  ASSERT_TRUE(Soon([&] { return work.executing == 1; }));
  slots.Add(UnitNamed("b"));
  slots.Obey(Strained(true, 0.05));
  EXPECT_EQ(slots.CountFrozen(), 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  slots.Obey(Strained(true, 0.05));
  EXPECT_TRUE(Soon([&] { return !slots.InHand("asg-a") && !slots.InHand("asg-b"); }));
  const std::string memory = std::to_string(static_cast<int>(EndReason::kMemory));
  EXPECT_THAT(work.ended, testing::ElementsAre("a executing " + memory, "b preparing " + memory));
}

TEST(SlotOrders, AnExecutorDoesNotBeginBetweenTwoLooks) {
  RunControl control;
  control.SetHeld(true);
  std::atomic<int> began = -1;
  std::thread waiting([&] { began = control.BeginExecutor(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_EQ(began, -1);
  EXPECT_EQ(control.phase(), UnitPhase::kPreparing);
  control.SetHeld(false);
  waiting.join();
  EXPECT_EQ(began, 1);
  EXPECT_EQ(control.phase(), UnitPhase::kExecuting);
  RunControl ended;
  ended.SetHeld(true);
  ended.Request(EndReason::kStopping);
  EXPECT_FALSE(ended.BeginExecutor());
}

TEST(SlotOrders, FollowTheVerdictAndTheOwnersSettings) {
  Config config;
  config.max_frozen_seconds = 5;
  EXPECT_EQ(OrdersFor({}, config, true).strain, EndReason::kNone);
  const Slots::Orders hot = OrdersFor({Strain::kHot, "x"}, config, true);
  EXPECT_EQ(hot.strain, EndReason::kThermal);
  EXPECT_FALSE(hot.hold) << "units that come while it is hot are refused, wire protocol 6.4";
  EXPECT_TRUE(hot.freeze);
  const Slots::Orders disk = OrdersFor({Strain::kDisk, "x"}, config, true);
  EXPECT_TRUE(disk.hold);
  EXPECT_EQ(disk.max_frozen_seconds, 5);
  EXPECT_FALSE(OrdersFor({Strain::kDisk, "x"}, config, false).freeze) << "no cgroup v2";
  config.freeze = false;
  EXPECT_FALSE(OrdersFor({Strain::kDisk, "x"}, config, true).freeze);
}

}  // namespace
}  // namespace auspex::runnerd
