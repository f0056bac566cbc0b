// SPDX-License-Identifier: AGPL-3.0-only
// The command line of a sandbox: walls, limits, and the program that a manifest names.
#include "runnerd/sandbox_arguments.h"

#include <gmock/gmock.h>

#include "common/base/cat.h"
#include "runnerd/executor_call.h"
#include "runnerd/limits_shown.h"
#include "runnerd/package_tree.h"
#include "runnerd/shown.h"
#include "runnerd/unit_limits.h"
#include "tests/runnerd/fixture.h"

namespace auspex::runnerd {
namespace {

SandboxHost Host() {
  SandboxHost host;
  host.bubblewrap = "/usr/bin/bwrap";
  host.unit_init = "/opt/auspex-unit-init";
  host.unpack = "/opt/auspex-unpack";
  host.etc_folder = "/state/sandbox-etc";
  host.root_links = {{"/bin", "usr/bin"}};
  return host;
}

bool HasWord(const std::vector<std::string>& line, const std::string& word) {
  return std::find(line.begin(), line.end(), word) != line.end();
}

TEST(SandboxArguments, EverySandboxHasEveryWall) {
  for (const SandboxSpec& spec : {EchoSandbox(), SandboxSpec{.command = {"/x"}, .package_fd = 7},
                                  SandboxSpec{.command = {"/x"}, .unpacker = true}}) {
    auto line = SandboxArguments(Host(), spec);
    ASSERT_TRUE(line.ok());
    for (const char* wall :
         {"--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
          "--disable-userns", "--die-with-parent", "--new-session", "--cap-drop", "--as-pid-1",
          "--seccomp", "--clearenv"}) {
      EXPECT_TRUE(HasWord(*line, wall)) << wall;
    }
    EXPECT_EQ(ShownPlaces(Host(), spec)[0].source, Host().etc_folder);  // leftovers are known by it
    EXPECT_FALSE(HasWord(*line, "--share-net"));
    // No path of the host is on the line: what is shown is bound by descriptor alone.
    for (const char* by_path : {"--dev-bind", "--bind", "--ro-bind", "--bind-try"}) {
      EXPECT_FALSE(HasWord(*line, by_path)) << by_path;
    }
    EXPECT_FALSE(HasWord(*line, "--bind-fd")) << "nothing of the host is writable";
    for (const ShownPlace& place : ShownPlaces(Host(), spec)) {
      EXPECT_TRUE(HasWord(*line, place.destination));
      EXPECT_FALSE(place.reason.empty());
    }
  }
}

TEST(UnitLimits, AreTheOwnersAndNoneIsWithoutAWallClock) {
  Config config;
  EXPECT_EQ(WallSeconds(config), 600);
  EXPECT_EQ(UnitLimits(config).memory_octets, 4096ull << 20);
  EXPECT_EQ(UnitLimits(config).swap_octets, 0u);
  EXPECT_EQ(UnitLimits(config).cpus, std::nullopt);
  config.runner_timeout_seconds = 7.5;
  config.memory_max_mb = 100;
  config.swap_max_mb = 3;
  config.pids_max = 20;
  config.cpu_cores = 1.5;
  EXPECT_EQ(WallSeconds(config), 7.5);
  EXPECT_EQ(UnitLimits(config).memory_octets, 100u << 20);
  EXPECT_EQ(UnitLimits(config).swap_octets, 3u << 20);
  EXPECT_GE(UnitLimits(config).processes, 20u);
  EXPECT_EQ(UnitLimits(config).cpus, 1.5);
  std::vector<std::string> shown;
  for (const LimitInWords& limit : LimitsInWords(config))
    shown.push_back(Cat(limit.name, ": ", limit.value));
  EXPECT_THAT(shown, testing::IsSupersetOf(
                         {"wall clock: 7.5 s", "memory: 100 MiB", "swap, by cgroup v2 alone: 3 MiB",
                          "processors, by cgroup v2 alone: 1.5", "processes and threads: 20"}));
  config.resource_limits = false;
  EXPECT_EQ(UnitLimits(config).swap_octets, std::nullopt);
  EXPECT_EQ(WallSeconds(config), 7.5);
}

TEST(UnitLimits, OfAllTogetherAreTheOwners) {
  Config config;
  EXPECT_EQ(UnitTotals(config).memory_octets, std::nullopt);
  EXPECT_EQ(UnitTotals(config).cpu_weight, 20);
  EXPECT_EQ(UnitTotals(config).io_weight, 20);
  config.max_ram_gb = 0.5;
  config.max_cpu_cores = 3;
  config.cpu_weight = 7;
  config.io_weight = 9;
  EXPECT_EQ(UnitTotals(config).memory_octets, 512u << 20);
  EXPECT_EQ(UnitTotals(config).cpus, 3.0);
  EXPECT_EQ(UnitTotals(config).cpu_weight, 7);
  EXPECT_EQ(UnitTotals(config).io_weight, 9);
}

TEST(SandboxArguments, HostileTextIsRefused) {
  SandboxSpec spec{.command = {"/x"}};
  for (const std::string& path :
       std::vector<std::string>{"relative", "/a/../b", "/a/..", std::string("/a\0b", 4)}) {
    spec.working_directory = path;
    EXPECT_FALSE(SandboxArguments(Host(), spec).ok()) << path;
  }
  spec.working_directory = "/";
  spec.environment = {{"LD_PRELOAD=x", "y"}};
  EXPECT_FALSE(SandboxArguments(Host(), spec).ok());
  spec.environment = {{"NAME", "--bind / /"}};  // a value is a word of its own
  EXPECT_TRUE(SandboxArguments(Host(), spec).ok());
  spec.command = {"--share-net"};  // behind "--"
  auto line = SandboxArguments(Host(), spec);
  ASSERT_TRUE(line.ok());
  EXPECT_EQ((*line)[line->size() - 2], "--");
  SandboxHost bare = Host();
  bare.bubblewrap.clear();
  EXPECT_EQ(SandboxArguments(bare, spec).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ExecutorCall, Programs) {
  ScratchFolder folder;
  folder.Write("tool", "x");
  ASSERT_EQ(symlink("/etc/passwd", (folder.path() + "/link").c_str()), 0);
  const absl::StatusOr<UniqueFd> package = OpenPackage(folder.path());
  ASSERT_TRUE(package.ok());
  EXPECT_EQ(*ExecutorProgram("link", package->get()), "link");
  EXPECT_EQ(*ExecutorProgram("python", package->get()), "/usr/bin/python3");
  EXPECT_EQ(*ExecutorProgram("tool", package->get()), "/package/tool");
  EXPECT_EQ(*ExecutorProgram("bin/tool", package->get()), "/package/bin/tool");
  EXPECT_EQ(*ExecutorProgram("/usr/bin/env", package->get()), "/usr/bin/env");
  EXPECT_EQ(*ExecutorProgram("sh", package->get()), "sh");
  EXPECT_FALSE(ExecutorProgram("../x", package->get()).ok());
  EXPECT_FALSE(ExecutorProgram("a/../../x", package->get()).ok());
  EXPECT_FALSE(ExecutorProgram("", package->get()).ok());
}

}  // namespace
}  // namespace auspex::runnerd
