// SPDX-License-Identifier: AGPL-3.0-only
// The real auspex-runnerd and its cgroups, looked at from outside: the owner's caps of all units follow
// the settings while it runs, and what a killed one left is gone with the next one's start.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/cat.h"
#include "tests/runnerd/cgroup_fixture.h"
#include "tests/runnerd/daemon_fixture.h"
#include "tests/support/skip.h"

namespace auspex::runnerd {
namespace {

using testing::SizeIs;
using State = FakeStated::State;

class DaemonCaps : public DaemonTest {
 protected:
  // Where the daemon's units are: it starts in this test's place, or beside what stands there.
  std::string Units() const { return UnitsFolder(*tree_, Cat(folder_.path(), "/state/runnerd")); }
  bool Holds(const char* file, const std::string& text) const {
    return Eventually([&] { return ReadWhole(Cat(Units(), "/", file)) == text; });
  }

  ScratchFolder own_;
  std::unique_ptr<CgroupTree> tree_ = CgroupTree::Open(own_.path());
};

TEST_F(DaemonCaps, FollowTheSettingsWhileItRuns) {
  AUSPEX_NEEDS_CONTROLLER(*tree_, "memory");
  AUSPEX_NEEDS_CONTROLLER(*tree_, "cpu");
  StartRunnerd("[resources]\nmax_ram_gb = 1\nmax_cpu_cores = 2\n");
  EXPECT_TRUE(Holds("memory.max", "1073741824\n"));
  EXPECT_TRUE(Holds("cpu.max", "200000 100000\n"));
  EXPECT_TRUE(Holds("cpu.weight", "20\n"));
  folder_.Write("worker.toml", "[resources]\nmax_ram_gb = 0.5\ncpu_weight = 50\n", 0600);
  EXPECT_TRUE(Holds("memory.max", "536870912\n"));
  EXPECT_TRUE(Holds("cpu.max", "max 100000\n"));
  EXPECT_TRUE(Holds("cpu.weight", "50\n"));
}

TEST_F(DaemonCaps, TheNextStartRemovesWhatAKilledOneLeft) {
  AUSPEX_NEEDS_CGROUP(*tree_);
  StartRunnerd();
  const std::string sha = Stage({"stubborn"}), quick = Stage({"ok"});
  stated_.Give("long", sha);
  stated_.WaitFor("long", State::kRunning);
  ASSERT_EQ(WaitForSandboxProcesses(EtcFolder(), 2), 2);
  EXPECT_THAT(UnitsIn(Units()), SizeIs(1));
  KillRunnerd(SIGKILL);
  EXPECT_THAT(UnitsIn(Units()), SizeIs(1));
  stated_.WaitFor("long", State::kAccepted);
  stated_.End("long");
  StartRunnerd();
  stated_.Give("next", quick);
  stated_.WaitFor("next", State::kCompleted);
  EXPECT_TRUE(Eventually([&] { return UnitsIn(Units()).empty(); }));
  KillRunnerd(SIGTERM);
  // A clean stop leaves no folder either. The root of the hierarchy is closed to everybody's mode, and
  // runnerd has no capability by then: there an empty one stays for the next start.
  struct stat base {};
  ASSERT_EQ(stat(tree_->base().c_str(), &base), 0);
  EXPECT_EQ(access(Units().c_str(), F_OK) != 0, (base.st_mode & S_IWUSR) != 0);
}

}  // namespace
}  // namespace auspex::runnerd
