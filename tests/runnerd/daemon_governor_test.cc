// SPDX-License-Identifier: AGPL-3.0-only
// The governor of the real auspex-runnerd: its readings are files of the test, its units are real.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "common/base/cat.h"
#include "tests/runnerd/daemon_fixture.h"
#include "tests/support/skip.h"

namespace auspex::runnerd {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using State = FakeStated::State;

class DaemonGovernorTest : public DaemonTest {
 protected:
  void SetUp() override {
    DaemonTest::SetUp();
    flags_ = {"--gauges-root", Cat(folder_.path(), "/gauges"), "--thermal-root",
              Cat(folder_.path(), "/thermal")};
    Pressure("0.00");
    Heat("40000");
  }
  void Pressure(const std::string& percent) {
    folder_.Write("gauges/proc/pressure/memory", Cat("full avg10=", percent, " avg60=0.00\n"));
  }
  void Heat(const std::string& millidegrees) {
    folder_.Write("thermal/thermal_zone0/temp", millidegrees + "\n");
  }
  // A machine of 64 processors that were idle for so long, all together, and busy for the rest.
  void Idle(int64_t ticks) {
    std::string text = Cat("cpu  9 9 9 ", ticks, " 0 0 0 0 0 0\n");
    for (int i = 0; i < 64; ++i) text += Cat("cpu", i, " 1 1 1 1 0 0 0 0 0 0\n");
    folder_.Write("gauges/proc/stat", text);
  }
  bool CanFreeze() {
    v1::ProbeResponse probe;
    grpc::ClientContext context;
    EXPECT_TRUE(Owner()->Probe(&context, {}, &probe).ok());
    return std::any_of(probe.layers().begin(), probe.layers().end(), [](const v1::Layer& layer) {
      return layer.name() == "cgroup" && layer.in_force();
    });
  }
  v1::SandboxStatus Status() {
    v1::SandboxStatus status;
    grpc::ClientContext context;
    EXPECT_TRUE(Owner()->GetStatus(&context, {}, &status).ok());
    return status;
  }
};

TEST_F(DaemonGovernorTest, NothingBeginsUnderAStrainAndStatedIsToldTheWord) {
  StartRunnerd(Settings("[governor]\nmin_free_disk_mb = 1073741824\n"));
  EXPECT_THAT(stated_.WaitForStrain("disk").reason(), HasSubstr("governor.min_free_disk_mb"));
  EXPECT_EQ(Status().strain(), "disk");
  stated_.Give("waits", Stage({"ok"}));
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  EXPECT_EQ(stated_.WaitFor("waits", State::kAccepted).begun, 0);
  // Settings are live: the strain is over, and the unit runs.
  folder_.Write("worker.toml", Settings(""), 0600);
  EXPECT_EQ(stated_.WaitFor("waits", State::kCompleted).begun, 1);
  stated_.WaitForStrain("");
  EXPECT_EQ(Status().strain(), "");
}

TEST_F(DaemonGovernorTest, WorkOfOthersHoldsUnitsUpUntilItIsLess) {
  Idle(0);
  StartRunnerd(Settings("[governor]\nmax_load = 60\n"));
  EXPECT_THAT(stated_.WaitForStrain("load").reason(), HasSubstr("governor.max_load 60.0"));
  stated_.Give("waits", Stage({"ok"}));
  // Three quarters of the bound are reached after four seconds of idleness, which goes on until the unit is done.
  std::jthread idle([this](const std::stop_token& stop) {
    for (int64_t ticks = 0; !stop.stop_requested();) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      Idle(ticks += 64 * 10);
    }
  });
  EXPECT_EQ(stated_.WaitFor("waits", State::kCompleted).begun, 1);
  EXPECT_EQ(Status().strain(), "");
}

// A bound that no machine of so few processors reaches holds nothing up, and its owner hears of it: once for each value.
TEST_F(DaemonGovernorTest, ALoadThatIsNeverReachedIsSaidInTheLog) {
  const auto told = [&](std::string_view value) {
    const std::string line = Cat("governor_max_load_is_never_reached max_load=", value, " ");
    for (int i = 0; i < 400 && Log().find(line) == std::string::npos; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    // Two more looks of the governor.
    std::this_thread::sleep_for(std::chrono::milliseconds(2500));
    size_t times = 0;
    const std::string log = Log();
    for (size_t at = log.find(line); at != std::string::npos; at = log.find(line, at + 1)) ++times;
    return times;
  };
  Idle(0);
  StartRunnerd(Settings("[governor]\nmax_load = 9000\n"));
  EXPECT_EQ(told("9000.0"), 1u) << Log();
  folder_.Write("worker.toml", Settings("[governor]\nmax_load = 9001\n"), 0600);
  EXPECT_EQ(told("9001.0"), 1u) << Log();
  stated_.Give("runs", Stage({"ok"}));
  EXPECT_EQ(stated_.WaitFor("runs", State::kCompleted).begun, 1);
}

TEST_F(DaemonGovernorTest, SlotsFollowTheSettingsWhileUnitsRun) {
  const auto with_slots = [](int slots) {
    return Cat("[executor]\nmode = \"provisioned\"\n[resources]\nslots = ", slots, "\n");
  };
  StartRunnerd(with_slots(1));
  stated_.WaitForSlots(1);
  const std::string sha = Stage({"stubborn"});
  for (const char* id : {"a", "b"}) stated_.Give(id, sha);
  stated_.WaitFor("a", State::kRunning);
  folder_.Write("worker.toml", with_slots(2), 0600);
  stated_.WaitForSlots(2);
  EXPECT_EQ(stated_.WaitFor("b", State::kRunning).begun, 1);
  EXPECT_EQ(Status().slots(), 2u);
  EXPECT_EQ(stated_.WaitFor("a", State::kRunning).begun, 1) << "it went on meanwhile";
}

TEST_F(DaemonGovernorTest, WithoutFreezingARunningUnitIsEndedAndRefusedWithTheWord) {
  StartRunnerd(Settings("[governor]\nfreeze = false\n"));
  stated_.Give("long", Stage({"stubborn"}));
  stated_.WaitFor("long", State::kRunning);
  ASSERT_EQ(WaitForSandboxProcesses(EtcFolder(), 2), 2);
  Pressure("50.00");
  const auto refused = stated_.WaitFor("long", State::kRefused);
  EXPECT_EQ(refused.refusal.kind(), "runner_failed");
  EXPECT_THAT(refused.refusal.reason(), StartsWith("memory: "));
  EXPECT_EQ(SandboxProcesses(EtcFolder()), 0);
  stated_.WaitForStrain("memory");
}

TEST_F(DaemonGovernorTest, HeatRefusesWhatComesAndEndsWhatRunsWithTheWiresWord) {
  StartRunnerd(Settings("[governor]\nfreeze = false\n"));
  stated_.Give("long", Stage({"stubborn"}));
  stated_.WaitFor("long", State::kRunning);
  ASSERT_EQ(WaitForSandboxProcesses(EtcFolder(), 2), 2);
  Heat("90000");
  EXPECT_EQ(stated_.WaitFor("long", State::kRefused).refusal.kind(), "thermal_critical");
  stated_.WaitForStrain("hot");
  stated_.Give("late", Stage({"ok"}));
  EXPECT_EQ(stated_.WaitFor("late", State::kRefused).refusal.kind(), "thermal_critical");
  EXPECT_THAT(stated_.WaitForCapabilities(), HasSubstr("\"state\":\"critical\""));
}

TEST_F(DaemonGovernorTest, AUnitThatWaitedForTooLongIsRefused) {
  StartRunnerd(Settings("[governor]\nmin_free_disk_mb = 1073741824\nmax_frozen_seconds = 1\n"));
  stated_.WaitForStrain("disk");
  stated_.Give("waits", Stage({"ok"}));
  const auto refused = stated_.WaitFor("waits", State::kRefused);
  EXPECT_EQ(refused.refusal.kind(), "runner_failed");
  EXPECT_THAT(refused.refusal.reason(), StartsWith("disk: "));
}

TEST_F(DaemonGovernorTest, ARunningUnitIsFrozenForAsLongAsTheStrainLastsAndItsClockWithIt) {
  StartRunnerd(Settings("[sandbox]\nrunner_timeout_seconds = 4\n"));
  AUSPEX_SKIP_UNLESS(CanFreeze(), "a cgroup v2 subtree that runnerd may write to");
  stated_.Give("long", Stage({"slow", "2500"}));
  stated_.WaitFor("long", State::kRunning);
  ASSERT_EQ(WaitForSandboxProcesses(EtcFolder(), 2), 2);
  Pressure("50.00");
  EXPECT_EQ(stated_.WaitForStrain("memory").frozen(), 1u);
  const v1::SandboxStatus status = Status();
  ASSERT_EQ(status.running_size(), 1);
  EXPECT_TRUE(status.running(0).frozen());
  // Longer than its wall clock, and than it would have taken.
  std::this_thread::sleep_for(std::chrono::seconds(5));
  EXPECT_EQ(stated_.WaitFor("long", State::kRunning).begun, 1);
  EXPECT_EQ(SandboxProcesses(EtcFolder()), 2);
  Pressure("0.00");
  EXPECT_EQ(stated_.WaitFor("long", State::kCompleted).begun, 1);
  EXPECT_EQ(stated_.WaitForStrain("").frozen(), 0u);
}

TEST_F(DaemonGovernorTest, AUnitThatIsFrozenForTooLongIsEndedAndRefused) {
  StartRunnerd(Settings("[governor]\nmax_frozen_seconds = 1\n"));
  AUSPEX_SKIP_UNLESS(CanFreeze(), "a cgroup v2 subtree that runnerd may write to");
  stated_.Give("long", Stage({"stubborn"}));
  stated_.WaitFor("long", State::kRunning);
  ASSERT_EQ(WaitForSandboxProcesses(EtcFolder(), 2), 2);
  Pressure("50.00");
  EXPECT_EQ(stated_.WaitFor("long", State::kRefused).refusal.kind(), "runner_failed");
  EXPECT_EQ(SandboxProcesses(EtcFolder()), 0);
}

TEST_F(DaemonGovernorTest, AFrozenUnitIsAbortedAndStoppedAtOnce) {
  StartRunnerd();
  AUSPEX_SKIP_UNLESS(CanFreeze(), "a cgroup v2 subtree that runnerd may write to");
  for (const char* id : {"a", "b"}) stated_.Give(id, Stage({"sleep"}));
  for (const char* id : {"a", "b"}) stated_.WaitFor(id, State::kRunning);
  ASSERT_EQ(WaitForSandboxProcesses(EtcFolder(), 4), 4);
  Pressure("50.00");
  EXPECT_EQ(stated_.WaitForStrain("memory").frozen(), 2u);
  v1::AbortRequest abort;
  abort.set_unit_id("a");
  abort.set_grace_seconds(600);
  v1::AbortResponse aborted;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  ASSERT_TRUE(Owner()->Abort(&context, abort, &aborted).ok());
  EXPECT_EQ(aborted.outcome(), "aborted_sigkill");
  stated_.WaitFor("a", State::kRefused);
  KillRunnerd(SIGTERM);
  EXPECT_EQ(stated_.WaitFor("b", State::kRefused).refusal.reason(),
            "the worker was stopped while the unit ran");
}

// The owner's nodes reach the sandbox through runnerd's own view, and stated hears of them before
// the executor can open one.
TEST_F(DaemonGovernorTest, GrantedDevicesAreToldBeforeTheUnitRuns) {
  constexpr char kNode[] = "/dev/auspex-test-daemon-node";
  const bool made = mknod(kNode, S_IFCHR | 0666, makedev(1, 5)) == 0 && chmod(kNode, 0666) == 0;
  AUSPEX_SKIP_UNLESS(made, "the right to make a device node in /dev (root)");
  StartRunnerd(Settings(Cat("[gpu]\ndevices = [\"", kNode, "\"]\ntenants = [\"test-lab\"]\n")));
  stated_.Give("granted", Stage({"open", kNode}));
  const auto done = stated_.WaitFor("granted", State::kCompleted);
  unlink(kNode);
  EXPECT_EQ(done.result.canonical_payload(), "{\"error\":0}");
  ASSERT_EQ(done.begin.devices_size(), 1);
  EXPECT_EQ(done.begin.devices(0), kNode);
  const auto condition = stated_.WaitForStrain("");
  ASSERT_EQ(condition.gpu_devices_size(), 1);
  EXPECT_EQ(condition.gpu_tenants(0), "test-lab");
  EXPECT_EQ(Status().gpu_devices_size(), 1);
}

// A strain is no reason to stay.
TEST_F(DaemonGovernorTest, StopsAtOnceWhileUnitsWait) {
  StartRunnerd(Settings("[governor]\nmin_free_disk_mb = 1073741824\n"));
  stated_.WaitForStrain("disk");
  stated_.Give("waits", Stage({"ok"}));
  KillRunnerd(SIGTERM);
  EXPECT_EQ(exit_status_, 0);
  EXPECT_EQ(stated_.WaitFor("waits", State::kAccepted).begun, 0);
}

}  // namespace
}  // namespace auspex::runnerd
