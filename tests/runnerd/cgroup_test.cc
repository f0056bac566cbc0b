// SPDX-License-Identifier: AGPL-3.0-only
// The tree of cgroups and what it holds: found on every kind of host, taken only where it is really
// delegated, frozen and killed whole, and nothing left of it.
#include <gmock/gmock.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "common/base/cat.h"
#include "common/cgroup/aside.h"
#include "common/cgroup/control_file.h"
#include "common/cgroup/place.h"
#include "tests/runnerd/cgroup_fixture.h"
#include "tests/support/skip.h"

namespace auspex::runnerd {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;

std::string PlaceOf(std::string_view self_cgroup, std::string_view mountinfo) {
  const auto place = FindCgroupPlace(self_cgroup, mountinfo);
  return place.ok() ? Cat(place->mount, " ", place->folder) : std::string(place.status().message());
}

TEST(CgroupPlace, IsFoundOnEveryKindOfHost) {
  const std::string v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
  const std::string v1 = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
  const std::string other = "22 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw\n";
  EXPECT_EQ(PlaceOf("0::/system.slice/auspex-runnerd.service\n", other + v2),
            "/sys/fs/cgroup /sys/fs/cgroup/system.slice/auspex-runnerd.service");
  // A hybrid host, the hierarchy beside those of v1.
  EXPECT_EQ(PlaceOf("2:cpu:/x\n0::/\n",
                    v1 + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"),
            "/sys/fs/cgroup/unified /sys/fs/cgroup/unified");
  // A container without a cgroup namespace, which shows its own part.
  EXPECT_EQ(PlaceOf("0::/docker/ab/init\n",
                    "30 23 0:26 /docker/ab /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
            "/sys/fs/cgroup /sys/fs/cgroup/init");
  EXPECT_EQ(
      PlaceOf("0::/docker/ab\n", "30 23 0:26 /docker/ab /my\\040cgroups rw - cgroup2 none rw\n"),
      "/my cgroups /my cgroups");
  EXPECT_THAT(
      PlaceOf("0::/docker/abc\n", "30 23 0:26 /docker/ab /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
      HasSubstr("is not in the part of the hierarchy that is mounted here"));
  EXPECT_THAT(PlaceOf("0::/../other\n", v2), HasSubstr("cgroup namespace of its own"));
}

TEST(CgroupPlace, WhatIsMissingIsNamedWithItsRemedy) {
  const std::string v1 = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
  EXPECT_THAT(PlaceOf("2:cpu:/x\n", v1), HasSubstr("cgroup v1 only"));
  EXPECT_THAT(PlaceOf("2:cpu:/x\n0::/\n", v1), HasSubstr("systemd.unified_cgroup_hierarchy=1"));
  EXPECT_THAT(PlaceOf("0::/\n", ""), HasSubstr("mount -t cgroup2"));
  EXPECT_THAT(PlaceOf("", ""), HasSubstr("CONFIG_CGROUPS"));
}

TEST(ControlFile, ValuesAndWordsAreRead) {
  EXPECT_EQ(KeyedValue("populated 1\nfrozen 0\n", "frozen"), 0u);
  EXPECT_EQ(KeyedValue("oom_kill 3\noom 12", "oom"), 12u);
  EXPECT_EQ(KeyedValue("max 3x\n", "max"), std::nullopt);
  EXPECT_EQ(KeyedValue("", "max"), std::nullopt);
  EXPECT_THAT(Words(" cpu\tio \n\nmemory"), testing::ElementsAre("cpu", "io", "memory"));
}

class CgroupTest : public testing::Test {
 protected:
  UnitCgroup Make(const CgroupLimits& limits = {}) {
    auto unit = tree_->Make(limits);
    if (!unit.ok()) {
      ADD_FAILURE() << unit.status();
      std::abort();
    }
    return *std::move(unit);
  }
  std::string Units() const { return UnitsFolder(*tree_, folder_.path()); }

  ScratchFolder folder_;
  std::unique_ptr<CgroupTree> tree_ = CgroupTree::Open(folder_.path());
};

uint64_t CpuMicros(const UnitCgroup& unit) { return unit.Usage().cpu_micros.value_or(0); }
void Wait(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

TEST_F(CgroupTest, EveryFactIsInForceOrSaysWhatToDo) {
  std::vector<std::string> names;
  for (const CgroupFact& fact : tree_->facts()) {
    names.push_back(fact.name);
    EXPECT_EQ(fact.in_force, fact.remedy.empty()) << fact.name << ": " << fact.remedy;
    EXPECT_EQ(tree_->InForce(fact.name), fact.in_force);
  }
  EXPECT_THAT(names, testing::ElementsAre("cgroup", "cgroup-memory", "cgroup-pids", "cgroup-cpu",
                                          "cgroup-io"));
  const CgroupFact* missing = tree_->Missing();
  EXPECT_EQ(missing == nullptr, tree_->InForce("cgroup") && tree_->InForce("cgroup-memory") &&
                                    tree_->InForce("cgroup-pids") && tree_->InForce("cgroup-cpu"));
  EXPECT_FALSE(tree_->InForce("cgroup-nonsense"));
}

// Somebody who may not write gets no tree, and hears how to get one.
TEST_F(CgroupTest, WhatIsNotDelegatedIsRefusedByName) {
  const std::string& own_remedy = tree_->facts()[0].remedy;
  if (own_remedy.find("Delegate=yes") !=
      std::string::npos) {  // this test's own place is of the kind
    EXPECT_FALSE(tree_->usable());
    EXPECT_THAT(own_remedy, HasSubstr("may not write to its cgroup /"));
    EXPECT_FALSE(tree_->Make({}).ok());
    return;
  }
  AUSPEX_NEEDS_CGROUP(*tree_);
  const std::string closed = Cat(Units(), "/closed");
  ASSERT_EQ(mkdir(closed.c_str(), 0755), 0);
  ASSERT_EQ(chmod(folder_.path().c_str(), 0755), 0);
  const int result = InChild([&] {
    std::ofstream(closed + "/cgroup.procs") << "0" << std::flush;
    // Root may write whatever the mode says; anybody else is stopped by it.
    if (geteuid() == 0) {
      if (setgroups(0, nullptr) != 0 || setgid(65534) != 0 || setuid(65534) != 0) return 1;
    } else if (chmod(closed.c_str(), 0555) != 0) {
      return 1;
    }
    const auto tree = CgroupTree::Open(folder_.path());
    if (tree->usable() || tree->facts().empty() || tree->Missing() == nullptr) return 2;
    const std::string& remedy = tree->facts()[0].remedy;
    if (remedy.find("Delegate=yes") == std::string::npos) return 3;
    if (remedy.find("/closed") == std::string::npos) return 4;
    return tree->Make({}).ok() ? 5 : 0;
  });
  chmod(closed.c_str(), 0755);
  EXPECT_TRUE(Eventually([&] { return rmdir(closed.c_str()) == 0; }));
  EXPECT_EQ(result, 0);
}

TEST_F(CgroupTest, LimitsOfAllUnitsAreWrittenAndTakenBack) {
  AUSPEX_NEEDS_CONTROLLER(*tree_, "memory");
  AUSPEX_NEEDS_CONTROLLER(*tree_, "cpu");
  CgroupTotals totals;
  totals.memory_octets = 512 << 20;
  totals.cpus = 1.5;
  totals.cpu_weight = 20;
  ASSERT_TRUE(tree_->SetTotals(totals).ok());
  EXPECT_EQ(ReadWhole(Units() + "/memory.max"), "536870912\n");
  EXPECT_EQ(ReadWhole(Units() + "/cpu.max"), "150000 100000\n");
  EXPECT_EQ(ReadWhole(Units() + "/cpu.weight"), "20\n");
  ASSERT_TRUE(tree_->SetTotals({}).ok());
  EXPECT_EQ(ReadWhole(Units() + "/memory.max"), "max\n");
  EXPECT_THAT(ReadWhole(Units() + "/cpu.max"), HasSubstr("max "));
  EXPECT_EQ(ReadWhole(Units() + "/cpu.weight"), "100\n");
  // Units do not run outside of the owner's caps: where those cannot be set, none begins.
  totals.cpu_weight = 0;
  EXPECT_FALSE(tree_->SetTotals(totals).ok());
  EXPECT_FALSE(tree_->Make({}).ok());
  ASSERT_TRUE(tree_->SetTotals({}).ok());
  EXPECT_TRUE(tree_->Make({}).ok());
}

TEST_F(CgroupTest, DisksAreSharedAsTheOwnerSays) {
  AUSPEX_NEEDS_CONTROLLER(*tree_, "io");
  const auto weight = [this] {
    return ReadWhole(Units() + "/io.weight") + ReadWhole(Units() + "/io.bfq.weight");
  };
  CgroupTotals totals;
  totals.io_weight = 20;
  ASSERT_TRUE(tree_->SetTotals(totals).ok());
  EXPECT_THAT(weight(), HasSubstr("default 20\n"));
  ASSERT_TRUE(tree_->SetTotals({}).ok());
  EXPECT_THAT(weight(), HasSubstr("default 100\n"));
}

TEST_F(CgroupTest, EachLimitOfAUnitIsWritten) {
  AUSPEX_NEEDS_CONTROLLER(*tree_, "memory");
  AUSPEX_NEEDS_CONTROLLER(*tree_, "pids");
  AUSPEX_NEEDS_CONTROLLER(*tree_, "cpu");
  CgroupLimits limits;
  limits.memory_octets = 64 << 20;
  limits.swap_octets = 0;
  limits.processes = 7;
  limits.cpus = 0.5;
  const UnitCgroup unit = Make(limits);
  const std::vector<std::string> names = UnitsIn(Units());
  ASSERT_EQ(names.size(), 1u);
  const auto holds = [&](const char* file) {
    return ReadWhole(Cat(Units(), "/", names[0], "/", file));
  };
  EXPECT_EQ(holds("memory.max"), "67108864\n");
  EXPECT_EQ(holds("memory.swap.max"), "0\n");
  EXPECT_EQ(holds("memory.oom.group"), "1\n");
  EXPECT_EQ(holds("pids.max"), "7\n");
  EXPECT_EQ(holds("cpu.max"), "50000 100000\n");
}

TEST_F(CgroupTest, FrozenProcessesMakeNoProgressAndGoOn) {
  AUSPEX_NEEDS_CGROUP(*tree_);
  UnitCgroup unit = Make();
  Process spinner = SpinIn(unit);
  ASSERT_TRUE(Eventually([&] { return CpuMicros(unit) > 0; }));
  ASSERT_TRUE(unit.SetFrozen(true).ok());
  ASSERT_TRUE(Eventually([&] { return unit.IsFrozen(); }));
  const uint64_t frozen_at = CpuMicros(unit);
  Wait(300);
  // It counts as frozen some microseconds before it has left its processor; a spinner that went on
  // would have had a good part of the time.
  EXPECT_LT(CpuMicros(unit) - frozen_at, 5000u);
  EXPECT_FALSE(unit.IsEmpty());
  ASSERT_TRUE(unit.SetFrozen(false).ok());
  EXPECT_TRUE(Eventually([&] { return CpuMicros(unit) > frozen_at; }));
  EXPECT_TRUE(unit.End().ok());
  EXPECT_EQ(WTERMSIG(spinner.Wait()), SIGKILL);
}

// A fork loop, as whoever lists processes cannot catch it.
TEST_F(CgroupTest, ATreeThatForksForEverDiesWholeByEitherWay) {
  AUSPEX_NEEDS_CGROUP(*tree_);
  for (const bool by_list : {false, true}) {
    for (const bool frozen : {false, true}) {
      UnitCgroup unit = Make();
      std::vector<Process> chains;
      for (int i = 0; i < 3; ++i) chains.push_back(StartIn(unit, {TenantPath(), "fork-chain"}));
      Process spinner = SpinIn(unit);
      ASSERT_TRUE(Eventually([&] { return CpuMicros(unit) > 5'000; }));
      if (frozen) {
        ASSERT_TRUE(unit.SetFrozen(true).ok());
      }
      ASSERT_TRUE((by_list ? KillByList(unit.fd()) : unit.Kill()).ok());
      EXPECT_TRUE(WaitEmpty(unit.fd(), 10'000'000).ok()) << by_list << frozen;
      EXPECT_EQ(WTERMSIG(spinner.Wait()), SIGKILL);
      EXPECT_TRUE(unit.End().ok());
    }
  }
  EXPECT_THAT(UnitsIn(Units()), IsEmpty());
}

TEST_F(CgroupTest, EndKillsWhatIsLeftAndRemovesTheFolder) {
  AUSPEX_NEEDS_CGROUP(*tree_);
  std::string name;
  {
    UnitCgroup unit = Make();
    const Process sleeper = StartIn(unit, {"/bin/sleep", "600"});
    EXPECT_EQ(WaitEmpty(unit.fd(), 20'000).code(), absl::StatusCode::kDeadlineExceeded);
    ASSERT_EQ(UnitsIn(Units()).size(), 1u);
    EXPECT_TRUE(unit.End().ok());
    EXPECT_THAT(UnitsIn(Units()), IsEmpty());
    pollfd ended{sleeper.fd(), POLLIN, 0};
    EXPECT_EQ(poll(&ended, 1, 10'000), 1);
  }
  { UnitCgroup forgotten = Make(); }
  EXPECT_THAT(UnitsIn(Units()), IsEmpty());
  // At once after the last unit, when the kernel has not yet let go of its cgroup.
  { UnitCgroup last = Make(); }
  const std::string units = Units();
  EXPECT_EQ(access(units.c_str(), F_OK), 0);
  tree_.reset();
  EXPECT_NE(access(units.c_str(), F_OK), 0);
}

TEST_F(CgroupTest, TheTimeOfUnitsThatHaveEndedIsRemembered) {
  AUSPEX_NEEDS_CGROUP(*tree_);
  ASSERT_TRUE(tree_->UnitsMicros().ok()) << tree_->UnitsMicros().status();
  const int64_t before = *tree_->UnitsMicros();
  uint64_t used = 0;
  {
    UnitCgroup unit = Make();
    const Process spinner = SpinIn(unit);
    ASSERT_TRUE(Eventually([&] { return (used = CpuMicros(unit)) > 200'000; }));
    EXPECT_TRUE(unit.End().ok());
  }
  EXPECT_GE(*tree_->UnitsMicros() - before, static_cast<int64_t>(used));
}

// kill -9 of a process that has units, which do not die with it.
TEST_F(CgroupTest, TheNextOneEndsWhatWasLeft) {
  AUSPEX_NEEDS_CGROUP(*tree_);
  tree_.reset();
  int pids[2];
  ASSERT_EQ(pipe(pids), 0);
  InChild([&] {
    const auto tree = CgroupTree::Open(folder_.path());
    auto busy = tree->Make({});
    auto frozen = tree->Make({});
    auto empty = tree->Make({});
    const Process spinner = SpinIn(*busy);
    const Process sleeper = StartIn(*frozen, {"/bin/sleep", "600"});
    (void)frozen->SetFrozen(true);
    for (const pid_t pid : {spinner.pid(), sleeper.pid()})
      if (write(pids[1], &pid, sizeof pid) != sizeof pid) return 1;
    kill(getpid(), SIGKILL);
    return 0;
  });
  std::vector<UniqueFd> left;
  for (int i = 0; i < 2; ++i) {
    pid_t pid = 0;
    ASSERT_EQ(read(pids[0], &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
    left.push_back(OpenPidfd(pid));
    pollfd alive{left.back().get(), POLLIN, 0};
    EXPECT_EQ(poll(&alive, 1, 0), 0);
  }
  tree_ = CgroupTree::Open(folder_.path());
  EXPECT_EQ(tree_->leftovers(), 2);
  EXPECT_THAT(UnitsIn(Units()), IsEmpty());
  for (const UniqueFd& pidfd : left) {
    pollfd ended{pidfd.get(), POLLIN, 0};
    EXPECT_EQ(poll(&ended, 1, 10'000), 1);
  }
  close(pids[0]);
  close(pids[1]);
}

// An inode is used again, and a folder may be copied: neither is to meet another one's units.
TEST_F(CgroupTest, TheNameOfTheUnitsIsThisFoldersAlone) {
  AUSPEX_NEEDS_CGROUP(*tree_);
  const auto name_in = [](const ScratchFolder& folder) {
    return ReadWhole(Cat(folder.path(), "/", kUnitsNameFile));
  };
  const auto opened = [&](const ScratchFolder& folder) {
    EXPECT_TRUE(CgroupTree::Open(folder.path())->usable());
    return name_in(folder);
  };
  tree_.reset();
  const std::string name = name_in(folder_);
  EXPECT_EQ(opened(folder_), name);
  ScratchFolder copy;
  copy.Write(kUnitsNameFile, name);
  EXPECT_NE(opened(copy), name);
  for (const std::string& spoilt :
       {std::string(), name + "0", name.substr(0, name.size() - 3) + "/..", std::string("x")}) {
    folder_.Write(kUnitsNameFile, spoilt);
    const std::string anew = opened(folder_);
    EXPECT_EQ(anew.size(), name.size()) << spoilt;
    EXPECT_NE(anew, name) << spoilt;
  }
}

// The kernel gives controllers on only from a cgroup that holds no process.
TEST_F(CgroupTest, ItMovesItselfAsideButNobodyWhoIsNotItsOwn) {
  AUSPEX_NEEDS_CONTROLLER(*tree_, "memory");
  const std::string base = Cat(Units(), "/inner");
  ASSERT_EQ(mkdir(base.c_str(), 0755), 0);
  const auto open_inside = [&](bool alone) {
    return InChild([&] {
      std::ofstream(base + "/cgroup.procs") << "0" << std::flush;
      pid_t other = -1;
      if (!alone && (other = fork()) == 0) {
        pause();
        _exit(0);
      }
      const auto tree = CgroupTree::Open(folder_.path());
      const std::string own = ReadWhole("/proc/self/cgroup");
      if (other > 0) kill(other, SIGKILL);
      if (other > 0) waitpid(other, nullptr, 0);
      if (!tree->usable()) return 1;
      if (own.find("/inner/auspex-daemon\n") == std::string::npos) return 2;
      if (tree->InForce("cgroup-memory") != alone) return 3;
      if (!alone && tree->Missing()->remedy.find("other processes stand in") == std::string::npos)
        return 4;
      return 0;
    });
  };
  EXPECT_EQ(open_inside(false), 0);
  EXPECT_EQ(open_inside(true), 0);
  EXPECT_TRUE(Eventually([&] {
    rmdir((base + "/auspex-daemon").c_str());
    return rmdir(base.c_str()) == 0;
  }));
}

// As `auspex daemon` does before it starts the others, one of which makes the tree.
TEST_F(CgroupTest, ASupervisorGoesAsideWhereItStandsAlone) {
  AUSPEX_NEEDS_CONTROLLER(*tree_, "memory");
  const std::string base = Cat(Units(), "/given");
  const auto with_another = [](const std::function<int()>& body) {
    const pid_t other = fork();
    if (other == 0) {
      pause();
      _exit(0);
    }
    const int result = body();
    kill(other, SIGKILL);
    waitpid(other, nullptr, 0);
    return result;
  };
  const auto in_base = [&](const std::function<int()>& body) {
    EXPECT_EQ(mkdir(base.c_str(), 0755), 0);
    const int result = InChild([&] {
      std::ofstream(base + "/cgroup.procs") << "0" << std::flush;
      return ReadWhole("/proc/self/cgroup").ends_with("/given\n") ? body() : 9;
    });
    EXPECT_TRUE(Eventually([&] {
      for (const std::string& name : UnitsIn(base)) rmdir(Cat(base, "/", name).c_str());
      return rmdir(base.c_str()) == 0;
    }));
    return result;
  };
  EXPECT_EQ(in_base([&] {
              if (!StandAside().ok() || !StandAside().ok()) return 1;  // the second changes nothing
              if (!ReadWhole("/proc/self/cgroup").ends_with("/given/auspex-daemon\n")) return 2;
              return with_another([&] {
                return InChild([&] {
                  const auto tree = CgroupTree::Open(folder_.path());
                  if (!tree->usable() || tree->base() != base) return 3;
                  return tree->InForce("cgroup-memory") ? 0 : 4;
                });
              });
            }),
            0);
  EXPECT_EQ(in_base([&] {
              return with_another([&] {
                if (StandAside().ok()) return 1;
                return ReadWhole("/proc/self/cgroup").ends_with("/given\n") ? 0 : 2;
              });
            }),
            0)
      << "who does not stand alone stays";
}

}  // namespace
}  // namespace auspex::runnerd
