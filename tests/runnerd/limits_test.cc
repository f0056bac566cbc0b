// SPDX-License-Identifier: AGPL-3.0-only
// Units in real sandboxes against the kernel's limits of a unit as a whole, beside each other,
// frozen and ended. What needs a controller says so where the host has none.
#include <gmock/gmock.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "common/base/cat.h"
#include "common/cgroup/control_file.h"
#include "runnerd/unit_limits.h"
#include "tests/runnerd/cgroup_fixture.h"
#include "tests/support/skip.h"

namespace auspex::runnerd {
namespace {

using std::chrono::steady_clock;
using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class LimitsTest : public PipelineTest {
 protected:
  void SetUp() override {
    PipelineTest::SetUp();
    config_.runner_timeout_seconds = 60;
  }
  // Nothing of any unit is left: no process, no cgroup (P9).
  void TearDown() override {
    EXPECT_EQ(SandboxProcesses(host_->etc_folder), 0);
    if (cgroups_->usable()) {
      EXPECT_THAT(UnitsIn(Units()), IsEmpty());
    }
  }
  std::string Units() const { return UnitsFolder(*cgroups_, folder_.path()); }
  // Waits until the executor of a unit runs.
  void WaitUntilItRuns() const { ASSERT_EQ(WaitForSandboxProcesses(host_->etc_folder, 2), 2); }
  // The CPU time of the one unit that runs.
  uint64_t CpuMicros() const {
    const std::vector<std::string> units = UnitsIn(Units());
    if (units.size() != 1) return 0;
    return KeyedValue(ReadWhole(Cat(Units(), "/", units[0], "/cpu.stat")), "usage_usec")
        .value_or(0);
  }
  bool IsFrozen() const {
    const std::vector<std::string> units = UnitsIn(Units());
    return units.size() == 1 &&
           ReadWhole(Cat(Units(), "/", units[0], "/cgroup.events")).find("frozen 1") !=
               std::string::npos;
  }
};

TEST_F(LimitsTest, RequiredCgroupThatIsMissingRefusesByItsName) {
  config_.require_cgroup = true;
  const CgroupFact* missing = cgroups_->Missing();
  const std::string described = Describe(RunTenant({"ok"}));
  if (missing == nullptr) {
    EXPECT_EQ(described, "completed");
  } else {
    EXPECT_THAT(described,
                StartsWith(Cat("sandbox_unavailable: sandbox unavailable: layer ", missing->name,
                               " is not in force and sandbox.require_cgroup is set: ")));
    EXPECT_THAT(described, HasSubstr(missing->remedy));
  }
  // Without any, whatever the host has.
  host_->cgroups = nullptr;
  EXPECT_THAT(Describe(RunTenant({"ok"})), StartsWith("sandbox_unavailable: "));
  config_.execution_policy = ExecutionPolicy::kSynthetic;
  EXPECT_THAT(Describe(RunTenant({"ok"})), StartsWith("sandbox_unavailable: "));
  config_.require_cgroup = false;
  EXPECT_EQ(Describe(RunTenant({"ok"})), "completed");
}

TEST_F(LimitsTest, OutOfMemoryNamesTheUnitsLimit) {
  AUSPEX_NEEDS_CONTROLLER(*cgroups_, "memory");
  config_.memory_max_mb = 128;
  EXPECT_EQ(Describe(RunTenant({"touch", "64"})),  // in each of four children
            "runner_failed: out of memory: the unit's limit of 128 MiB");
  EXPECT_EQ(Describe(RunTenant({"touch", "8"})), "completed");
  config_.resource_limits = false;
  EXPECT_EQ(Describe(RunTenant({"touch", "64"})), "completed");
}

TEST_F(LimitsTest, ScratchIsAPartOfTheUnitsMemory) {
  AUSPEX_NEEDS_CONTROLLER(*cgroups_, "memory");
  config_.memory_max_mb = 128;
  config_.scratch_mb = 256;
  EXPECT_EQ(Describe(RunTenant({"fill"})),
            "runner_failed: out of memory: the unit's limit of 128 MiB");
  config_.scratch_mb = 32;
  EXPECT_EQ(Describe(RunTenant({"fill"})), "completed");
}

TEST_F(LimitsTest, MemoryOfAllUnitsTogetherIsCapped) {
  AUSPEX_NEEDS_CONTROLLER(*cgroups_, "memory");
  config_.max_ram_gb = 0.125;
  ASSERT_TRUE(cgroups_->SetTotals(UnitTotals(config_)).ok());
  EXPECT_THAT(Describe(RunTenant({"touch", "64"})),
              HasSubstr("out of memory: not the unit's limit, but that of all units together"));
  config_.max_ram_gb.reset();
  ASSERT_TRUE(cgroups_->SetTotals(UnitTotals(config_)).ok());
  EXPECT_EQ(Describe(RunTenant({"touch", "64"})), "completed");
}

// RLIMIT_NPROC does not hold for root; this does.
TEST_F(LimitsTest, ForkBombMeetsTheUnitsLimitOfProcesses) {
  AUSPEX_NEEDS_CONTROLLER(*cgroups_, "pids");
  config_.pids_max = 20;
  const int64_t made = IntegerOf(PayloadOf(RunTenant({"forks", "200"})), "made");
  EXPECT_GE(made, 18);
  EXPECT_LE(made, 19);  // and the executor
  const BuiltPackage shell =
      BuildPackage({"sh", "-c",
                    "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21; do sleep 60 & "
                    "done; exit 3"},
                   {{"x", "x"}});
  for (const TarMember& member : shell.members)
    folder_.Write(Cat("staged/", shell.sha256, "/", member.path), member.content);
  // Another user's processes meet the rlimit of the same number first.
  EXPECT_THAT(Describe(Run(MakeUnit(shell.sha256))),
              HasSubstr(geteuid() == 0 ? "it was refused more than 20 processes and threads"
                                       : "executor exited with status 2; its error output ends"));
}

// Both units on one processor, the second with eight times as many processes: by the kernel's
// default it would get eight times as much.
TEST_F(LimitsTest, ManyProcessesDoNotStarveTheUnitBeside) {
  AUSPEX_NEEDS_CONTROLLER(*cgroups_, "cpu");
  const Unit one = MakeUnit(StageTenant({"work", "3000", "1"}));
  const Unit many = MakeUnit(StageTenant({"work", "3000", "8"}));
  int64_t rounds[2] = {};
  const auto run = [&](const Unit& unit, int64_t& done) {
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    ASSERT_EQ(sched_setaffinity(0, sizeof first, &first), 0);  // this thread's; children inherit it
    RunControl control;
    done = IntegerOf(PayloadOf(pipeline_->Run(unit, control)), "rounds");
  };
  std::thread beside([&] { run(many, rounds[1]); });
  std::thread alone([&] { run(one, rounds[0]); });
  beside.join();
  alone.join();
  ASSERT_GT(rounds[0], 0);
  EXPECT_GT(static_cast<double>(rounds[0]) / static_cast<double>(rounds[1]), 0.4);
}

TEST_F(LimitsTest, AUnitGetsNoMoreProcessorsThanItMay) {
  AUSPEX_NEEDS_CONTROLLER(*cgroups_, "cpu");
  const Unit unit = MakeUnit(StageTenant({"work", "2000", "2"}));
  const auto rounds = [&] { return IntegerOf(PayloadOf(Run(unit)), "rounds"); };
  const int64_t free = rounds();
  config_.cpu_cores = 0.1;
  const int64_t capped = rounds();
  ASSERT_GT(capped, 0);
  EXPECT_LT(capped, free / 3);
  config_.cpu_cores.reset();
  config_.max_cpu_cores = 1;
  EXPECT_EQ(UnitTotals(config_).cpus, 1.0);
}

TEST_F(LimitsTest, AFrozenUnitStandsStillWithItsClock) {
  AUSPEX_NEEDS_CGROUP(*cgroups_);
  config_.runner_timeout_seconds = 8;
  RunControl control;
  UnitOutcome outcome;
  const Unit unit = MakeUnit(StageTenant({"work", "2500", "1"}));
  std::thread runner([&] { outcome = pipeline_->Run(unit, control); });
  // The init, the executor and the child that works, in the middle of its work.
  EXPECT_EQ(WaitForSandboxProcesses(host_->etc_folder, 3), 3);
  const uint64_t began = CpuMicros();
  EXPECT_TRUE(Eventually([&] { return CpuMicros() > began + 50'000; }));
  control.SetFrozen(true);
  EXPECT_TRUE(Eventually([&] { return IsFrozen(); }));
  const uint64_t at = CpuMicros();
  std::this_thread::sleep_for(std::chrono::milliseconds(8500));  // longer than its wall clock
  EXPECT_EQ(CpuMicros(), at);
  control.SetFrozen(false);
  runner.join();
  // It went on, and was frozen in the middle: its own clock saw the time go by.
  EXPECT_GT(IntegerOf(PayloadOf(outcome), "longest_gap_ms"), 8000);
}

TEST_F(LimitsTest, AFrozenUnitIsEndedAtOnceWhateverItsGrace) {
  AUSPEX_NEEDS_CGROUP(*cgroups_);
  for (const char* mode : {"stubborn", "sleep"}) {
    RunControl control;
    UnitOutcome outcome;
    const Unit unit = MakeUnit(StageTenant({mode}));
    std::thread runner([&] { outcome = pipeline_->Run(unit, control); });
    WaitUntilItRuns();
    control.SetFrozen(true);
    EXPECT_TRUE(Eventually([&] { return IsFrozen(); }));
    const auto asked = steady_clock::now();
    control.Request(EndReason::kAborted, 500);
    runner.join();
    EXPECT_LT(steady_clock::now() - asked, std::chrono::seconds(60)) << mode;
    EXPECT_EQ(Describe(outcome), "runner_failed: aborted by the owner");
    EXPECT_TRUE(control.WaitFinished());  // by SIGKILL
  }
}

TEST_F(LimitsTest, FrozenForTooLongInAllIsTheEnd) {
  AUSPEX_NEEDS_CGROUP(*cgroups_);
  config_.max_frozen_seconds = 1;
  RunControl control;
  UnitOutcome outcome;
  const Unit unit = MakeUnit(StageTenant({"sleep"}));
  std::thread runner([&] { outcome = pipeline_->Run(unit, control); });
  WaitUntilItRuns();
  control.SetFrozen(true);
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  control.SetFrozen(false);
  EXPECT_TRUE(Eventually([&] { return !IsFrozen(); }));
  control.SetFrozen(true);  // 0.4 s are left
  runner.join();
  EXPECT_EQ(control.reason(), EndReason::kFrozenTooLong);
  EXPECT_THAT(Describe(outcome), HasSubstr("governor.max_frozen_seconds"));
}

// Asked before the unit has a process: it begins, and is frozen then.
TEST_F(LimitsTest, FrozenBeforeItBeganIsFrozenOnceItRuns) {
  AUSPEX_NEEDS_CGROUP(*cgroups_);
  RunControl control;
  control.SetFrozen(true);
  UnitOutcome outcome;
  const Unit unit = MakeUnit(StageTenant({"ok"}));
  ASSERT_TRUE(isolation_->Ensure().ok);
  std::thread runner([&] { outcome = pipeline_->Run(unit, control); });
  EXPECT_TRUE(Eventually([&] { return IsFrozen(); }));
  control.SetFrozen(false);
  runner.join();
  EXPECT_EQ(Describe(outcome), "completed");
}

TEST_F(LimitsTest, AForkLoopIsKilledWholeAtItsDeadline) {
  AUSPEX_NEEDS_CGROUP(*cgroups_);
  config_.runner_timeout_seconds = 1;
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(Describe(RunTenant({"stubborn"})), HasSubstr("ran over its limit"));
    // Its head ends at once; what it forked is the sandbox's to end, within the time or at its end.
    EXPECT_THAT(
        Describe(RunTenant({"fork-chain"})),
        AnyOf(StartsWith("runner_failed: executor output"), HasSubstr("ran over its limit")));
    EXPECT_EQ(SandboxProcesses(host_->etc_folder), 0);
    EXPECT_THAT(UnitsIn(Units()), IsEmpty());
  }
}

TEST_F(LimitsTest, UnitsOfTwoSlotsHaveCgroupsOfTheirOwn) {
  AUSPEX_NEEDS_CGROUP(*cgroups_);
  const Unit unit = MakeUnit(StageTenant({"stubborn"}));
  RunControl controls[2];
  std::thread first([&] { pipeline_->Run(unit, controls[0]); });
  std::thread second([&] { pipeline_->Run(unit, controls[1]); });
  EXPECT_EQ(WaitForSandboxProcesses(host_->etc_folder, 2, true), 2);
  EXPECT_EQ(UnitsIn(Units()).size(), 2u);
  controls[0].SetFrozen(true);
  EXPECT_TRUE(Eventually([&] {
    int frozen = 0;
    for (const std::string& name : UnitsIn(Units()))
      frozen += ReadWhole(Cat(Units(), "/", name, "/cgroup.freeze")) == "1\n";
    return frozen == 1;
  }));
  for (RunControl& control : controls) control.Request(EndReason::kAborted);
  first.join();
  second.join();
}

}  // namespace
}  // namespace auspex::runnerd
