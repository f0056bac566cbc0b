// SPDX-License-Identifier: AGPL-3.0-only
// The governor: what it decides by given readings, what it reads of given and of the real files, and
// what its orders do to units that wait, prepare and run.
#include "runnerd/governor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
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
  EXPECT_EQ(verdict.reason, "other work keeps 8.0 processors busy, governor.max_load 4.0");
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
  folder.Write("proc/stat",
               "cpu  1 2 3 0 0 0 0 0 0 0\ncpu0 1 2 3 0 0 0 0 0 0 0\ncpu1 1 2 3 0 0 0 0 0 0 0\n");
  folder.Write("proc/pressure/memory",
               "some avg10=99.00 avg60=0.00 avg300=0.00 total=1\n"
               "full avg10=12.34 avg60=0.00 avg300=0.00 total=1\n");
  const auto no_time = [] { return int64_t{0}; };
  HostGauges gauges(folder.path(), folder.path(), no_time);
  const GovernorReadings readings = gauges.Read(Bounds(1, 10, 1));
  EXPECT_DOUBLE_EQ(readings.others_load.value_or(-1), 2) << readings.others_load.status();
  EXPECT_DOUBLE_EQ(*readings.memory_pressure, 12.34);
  EXPECT_GT(*readings.free_disk_mb, 0);
  HostGauges blind(folder.path(), folder.path(),
                   [] { return absl::InternalError("no time of the worker's"); });
  EXPECT_FALSE(blind.Read(Bounds(1, 10, 1)).others_load.ok());
  HostGauges none(folder.path() + "/none", folder.path() + "/none", no_time);
  const GovernorReadings missing = none.Read(Bounds(1, 10, 1));
  EXPECT_FALSE(missing.others_load.ok());
  EXPECT_FALSE(missing.memory_pressure.ok());
  EXPECT_FALSE(missing.free_disk_mb.ok());
  for (const char* text : {"", "some avg10=1.00", "full avg10=x"})
    EXPECT_FALSE(ParseFullPressure(text).ok()) << text;
}

TEST(HostGauges, TheRealMachineHasThem) {
  ScratchFolder folder;
  HostGauges gauges("", folder.path(), [] { return TreeMicros("/proc", getpid()); });
  const GovernorReadings readings = gauges.Read(Bounds(1, 100, 1));
  EXPECT_TRUE(readings.others_load.ok()) << readings.others_load.status();
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
                     folder.path(), folder.path(), [] { return int64_t{0}; }});
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

TEST(SlotCount, FollowsTheOwnerWhileUnitsRun) {
  Work work;
  Slots slots(1, std::ref(work));
  for (const char* name : {"a", "b", "c"}) slots.Add(UnitNamed(name));
  EXPECT_TRUE(Soon([&] { return work.executing == 1; }));
  EXPECT_FALSE(slots.SetCount(1)) << "the same again";
  EXPECT_TRUE(slots.SetCount(2));
  EXPECT_EQ(slots.count(), 2);
  EXPECT_TRUE(Soon([&] { return work.executing == 2; }));
  // What runs beyond the new number goes on, and nothing begins in its place.
  EXPECT_TRUE(slots.SetCount(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(slots.ListRunning().size(), 2u);
  slots.End("asg-a", EndReason::kEnded);
  EXPECT_TRUE(Soon([&] { return slots.ListRunning().size() == 1; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(work.begun, 2);
  slots.End("asg-b", EndReason::kEnded);
  EXPECT_TRUE(Soon([&] { return work.executing == 3; }));
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
