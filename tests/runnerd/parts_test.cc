// SPDX-License-Identifier: AGPL-3.0-only
// runnerd's pure parts: command line, report, bounded streams, thermal latch, capabilities, probe's
// judgement, controls and slots.
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "common/base/cat.h"
#include "common/json/canonical.h"
#include "runnerd/bounded_reader.h"
#include "runnerd/capabilities.h"
#include "runnerd/executor_call.h"
#include "runnerd/executor_output.h"
#include "runnerd/init_report.h"
#include "runnerd/isolation.h"
#include "runnerd/limits_shown.h"
#include "runnerd/package_tree.h"
#include "runnerd/probe.h"
#include "runnerd/sandbox_arguments.h"
#include "runnerd/shown.h"
#include "runnerd/slots.h"
#include "runnerd/thermal.h"
#include "runnerd/unit_limits.h"
#include "tests/runnerd/fixture.h"

namespace auspex::runnerd {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

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

TEST(InitReport, FormsAndDamage) {
  const std::string started = "auspex-unit 2 started pid=1\n";
  EXPECT_EQ(ParseInitReport("")->kind, InitReport::Kind::kNotStarted);
  EXPECT_EQ(ParseInitReport(started)->kind, InitReport::Kind::kUnfinished);
  EXPECT_EQ(ParseInitReport(started)->facts, " pid=1");
  // Facts count only as a whole line.
  EXPECT_EQ(ParseInitReport(started.substr(0, started.size() - 1))->kind,
            InitReport::Kind::kNotStarted);
  EXPECT_EQ(ParseInitReport(started + "end walls 0 seccomp 0\n")->output, "seccomp");
  EXPECT_EQ(ParseInitReport(started + "end walls 0 seccomp 0\n")->kind, InitReport::Kind::kWalls);
  EXPECT_EQ(ParseInitReport(started + "end exited 0 ok 5\n{}")->kind,
            InitReport::Kind::kUnfinished);
  const auto whole = ParseInitReport(started + "end exited 0 ok 2\n{}");
  EXPECT_EQ(whole->kind, InitReport::Kind::kExited);
  EXPECT_EQ(whole->content, "{}");
  EXPECT_EQ(ParseInitReport(started + "end signaled 9 none 0\n")->number, 9);
  EXPECT_FALSE(ParseInitReport("something else\n").ok());
  EXPECT_FALSE(ParseInitReport(started + "end exited 0 ok 1\n{}").ok());
  EXPECT_FALSE(ParseInitReport(started + "end exited x ok 0\n").ok());
  EXPECT_FALSE(ParseInitReport(started + "end vanished 0 ok 0\n").ok());
}

TEST(BoundedReader, TailAndLimit) {
  absl::StatusOr<Pipe> pipe = Pipe::Make();
  ASSERT_TRUE(pipe.ok());
  const std::string text = "first line\nsecond line\nthird\n";
  ASSERT_EQ(write(pipe->write.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  TailReader tail(20);
  EXPECT_TRUE(tail.Drain(pipe->read.get()));  // the writer lives: no end, and no waiting for it
  EXPECT_EQ(tail.Tail(), "second line\nthird");
  ASSERT_EQ(write(pipe->write.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  pipe->write.Reset();
  BoundedReader bounded(10);
  EXPECT_FALSE(bounded.Drain(pipe->read.get()));
  EXPECT_TRUE(bounded.overflow());
  EXPECT_EQ(bounded.text(), "");
}

TEST(Thermal, Hysteresis) {
  ScratchFolder folder;
  const auto set = [&](const char* millidegrees) {
    folder.Write("thermal_zone1/temp", millidegrees);
  };
  set("50000\n");
  folder.Write("thermal_zone0/temp", "not a number");
  ThermalGovernor governor({70, 82, 68}, folder.path());
  EXPECT_TRUE(governor.has_sensor());
  const std::vector<std::pair<const char*, ThermalState>> steps = {
      {"69900", ThermalState::kOk},       {"70000", ThermalState::kWarm},
      {"81999", ThermalState::kWarm},     {"82000", ThermalState::kCritical},
      {"75000", ThermalState::kCritical}, {"68001", ThermalState::kCritical},
      {"68000", ThermalState::kOk},       {"75000", ThermalState::kWarm}};
  for (const auto& [temperature, state] : steps) {
    set(temperature);
    EXPECT_EQ(governor.Measure().state, state) << temperature;
    EXPECT_EQ(governor.Last().state, state);
  }
  EXPECT_EQ(governor.Last().zones, 1);
  ThermalGovernor none({70, 82, 68}, Cat(folder.path(), "/nothing"));
  EXPECT_FALSE(none.has_sensor());
  EXPECT_EQ(none.Measure().state, ThermalState::kOk);
}

TEST(Capabilities, AcceleratorsAreThoseThatCanBeOpened) {
  ScratchFolder folder;
  const auto measured = [&folder] { return MeasureHost(folder.path(), ""); };
  // A card without a driver for computing, and names that are no cards.
  folder.Write("sys/class/drm/card0/device/mem_info_vram_total", "17163091968\n");
  for (const char* name : {"nvidiactl", "nvidia-uvm", "nvidia", "nvidia0x"})
    folder.Write(Cat("dev/", name), "");
  EXPECT_FALSE(measured().amd);
  EXPECT_EQ(measured().amd_vram_gb, std::nullopt);
  EXPECT_EQ(measured().nvidia, 0);
  folder.Write("dev/kfd", "");
  HostFacts facts = measured();
  EXPECT_TRUE(facts.amd);
  EXPECT_NEAR(facts.amd_vram_gb.value_or(0), 17.163, 0.001);
  EXPECT_THAT(WriteCanonical(ComposeCapabilities(facts, {}, nullptr, {}, "")),
              HasSubstr("\"gpus_observed\":{\"amd\":true,\"nvidia\":0}"));
  // The first card may be another maker's.
  folder.Write("sys/class/drm/card0/device/mem_info_vram_total", "");
  folder.Write("sys/class/drm/card1/device/mem_info_vram_total", "8589934592\n");
  EXPECT_NEAR(measured().amd_vram_gb.value_or(0), 8.59, 0.01);
  folder.Write("dev/nvidia0", "");
  folder.Write("dev/nvidia12", "");
  EXPECT_EQ(measured().nvidia, 2);
  // There, but not for this user.
  if (geteuid() != 0) {
    ASSERT_EQ(chmod((folder.path() + "/dev/kfd").c_str(), 0), 0);
    EXPECT_FALSE(measured().amd);
  }
  ASSERT_EQ(unlink((folder.path() + "/dev/kfd").c_str()), 0);
  EXPECT_FALSE(measured().amd);
}

TEST(Capabilities, OmitRules) {
  Config config;
  HostFacts facts;
  facts.arch = "x86_64";
  EXPECT_EQ(WriteCanonical(ComposeCapabilities(facts, config, nullptr, {}, "")),
            "{\"arch\":\"x86_64\",\"cpu_count\":null,\"execute_tenant_code\":\"synthetic\",\"gpus_"
            "observed\":{\"amd\":false,\"nvidia\":0},"
            "\"os\":\"linux\",\"ram_total_gb\":null,\"sandbox_policy\":\"strict\",\"worker_"
            "features\":[]}");
  facts.ram_total_gb = 15.678;
  facts.ram_available_gb = 3.14159;
  facts.cpu_count = 8;
  facts.models = {{"tiny", 12}};
  config.auto_acquire = true;  // a wish that this release cannot fulfil, so nothing is announced
  config.max_ram_gb = 4;
  config.gpus_amd = true;
  config.use_bubblewrap = false;
  ThermalReading reading{ThermalState::kWarm, 71.26, 2};
  const JsonValue full = ComposeCapabilities(facts, config, &reading, {70, 82, 68}, "0.1.0");
  EXPECT_EQ(full.Find("auto_acquire"), nullptr);
  EXPECT_EQ(WriteCanonical(*full.Find("ram_total_gb")), "15.68");
  EXPECT_EQ(WriteCanonical(*full.Find("usable_memory_gb")), "15.178");
  EXPECT_EQ(WriteCanonical(*full.Find("available_memory_gb")), "3.14");
  EXPECT_EQ(WriteCanonical(*full.Find("declared_caps")), "{\"max_ram_gb\":4.0}");
  EXPECT_EQ(WriteCanonical(*full.Find("gpus_declared")), "{\"amd\":true}");
  EXPECT_EQ(WriteCanonical(*full.Find("models")), "[\"tiny\"]");
  EXPECT_EQ(WriteCanonical(*full.Find("model_sizes")), "{\"tiny\":12}");
  EXPECT_EQ(*full.FindString("sandbox_policy"), "permissive");
  EXPECT_EQ(WriteCanonical(*full.Find("thermal")),
            "{\"current_temp_c\":71.3,\"max_temp_c\":82.0,\"state\":\"warm\",\"zone_count\":2}");
  config.execution_policy = ExecutionPolicy::kProvisioned;
  EXPECT_EQ(ComposeCapabilities(facts, config, nullptr, {}, "").Find("auto_acquire"), nullptr);
  facts.nvidia = 1;
  EXPECT_EQ(ComposeCapabilities(facts, config, nullptr, {}, "").Find("usable_memory_gb"), nullptr);
  facts.nvidia = 0;
  facts.unified_memory = true;
  facts.ram_total_gb = 2;
  EXPECT_EQ(
      WriteCanonical(*ComposeCapabilities(facts, config, nullptr, {}, "").Find("usable_memory_gb")),
      "0.0");
}

TEST(Capabilities, MeasuresAHost) {
  ScratchFolder root;
  root.Write("proc/meminfo",
             "MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n");
  root.Write("dev/nvidia0", "");
  root.Write("dev/nvidia1", "");
  root.Write("dev/nvidiactl", "");
  root.Write("models/good-model/a.gguf", "12345");
  root.Write("models/empty/sub/x", "1");
  root.Write("models/half.partial/a.gguf", "1");
  root.Write("models/.hidden/a", "1");
  const HostFacts facts = MeasureHost(root.path(), Cat(root.path(), "/models"));
  EXPECT_EQ(facts.ram_total_gb, 16.0);
  EXPECT_EQ(facts.ram_available_gb, 8.0);
  EXPECT_EQ(facts.nvidia, 2);
  EXPECT_FALSE(facts.amd);
  EXPECT_EQ(facts.models, (std::map<std::string, uint64_t>{{"good-model", 5}}));
}

std::string GoodLook() {
  return "pid=1\nuid=65534\ngid=65534\nCapInh=0000000000000000\nCapPrm=0000000000000000\nCapEff="
         "0000000000000000\n"
         "CapBnd=0000000000000000\nCapAmb=0000000000000000\nNoNewPrivs=1\nSeccomp=2\nns_user=user:["
         "2]\nns_pid=pid:[2]\nns_net=net:[2]\n"
         "ns_ipc=ipc:[2]\nns_uts=uts:[2]\nns_mnt=mnt:[2]\nns_cgroup=cgroup:[2]\nhostname="
         "auspex\nprocesses=1 \ndescriptors=0 1 2 \n"
         "root=\ninterfaces=lo "
         "\nwrite_root=refused\nwrite_usr=refused\nwrite_etc=refused\nwrite_dev=refused\nwrite_"
         "proc=refused\n"
         "write_unit=possible\nsocket_inet=refused\nsocket_netlink=refused\nnew_user_namespace="
         "refused\nmount=refused\nptrace=refused\nlandlock=7\n";
}

std::map<std::string, std::string> Namespaces() {
  std::map<std::string, std::string> outside;
  for (const char* kind : {"user", "pid", "net", "ipc", "uts", "mnt", "cgroup"})
    outside[kind] = Cat(kind, ":[1]");
  return outside;
}

TEST(Probe, EveryFactCounts) {
  EXPECT_TRUE(JudgeLook(GoodLook(), Namespaces(), 7).ok)
      << JudgeLook(GoodLook(), Namespaces(), 7).failure;
  // Each line that is changed or missing brings a required layer down and is named.
  const std::string look = GoodLook();
  for (size_t begin = 0; begin < look.size();) {
    const size_t end = look.find('\n', begin);
    const std::string line = look.substr(begin, end - begin);
    const std::string without = look.substr(0, begin) + look.substr(end + 1);
    if (!line.starts_with("root=") && !line.starts_with("ns_cgroup") &&
        !line.starts_with("interfaces")) {
      const ProbeResult result = JudgeLook(without, Namespaces(), 7);
      EXPECT_FALSE(result.ok) << line;
      EXPECT_THAT(result.failure, HasSubstr("layer ")) << line;
    }
    begin = end + 1;
  }
  for (const char* kind : {"user", "pid", "net", "ipc", "uts", "mnt"}) {
    auto same = Namespaces();
    same[kind] = Cat(kind, ":[2]");
    EXPECT_FALSE(JudgeLook(GoodLook(), same, 7).ok) << kind;
  }
  EXPECT_FALSE(JudgeLook("", Namespaces(), 7).ok);
  // A kernel without Landlock is told and accepted; one that has it must show it, all of it.
  EXPECT_TRUE(JudgeLook(GoodLook(), Namespaces(), 0).ok);
  EXPECT_FALSE(JudgeLook(GoodLook(), Namespaces(), 2).ok);
}

TEST(Isolation, ProbesOnceAndAgainAfterAFailure) {
  class Hand : public Clock {
   public:
    int64_t NowMicros() const override { return now; }
    int64_t MonotonicMicros() const override { return now; }
    int64_t now = 1;
  } clock;
  int probes = 0;
  bool works = false;
  Isolation isolation(
      [&] {
        ++probes;
        return ProbeResult{works, {}, works ? "" : "no"};
      },
      clock);
  EXPECT_FALSE(isolation.Last().has_value());
  EXPECT_FALSE(isolation.Ensure().ok);
  EXPECT_FALSE(isolation.Ensure().ok);
  EXPECT_EQ(probes, 1);
  works = true;
  clock.now += 31'000'000;
  EXPECT_TRUE(isolation.Ensure().ok);
  clock.now += 3'000'000'000;
  EXPECT_TRUE(isolation.Ensure().ok);
  EXPECT_EQ(probes, 2);
  isolation.Refresh();
  EXPECT_EQ(probes, 3);
}

TEST(RunControl, FirstReasonWinsAndCancelsRun) {
  RunControl control;
  int cancelled = 0;
  control.AddCancel([&] { ++cancelled; });
  control.RemoveCancel(control.AddCancel([&] { cancelled += 100; }));
  EXPECT_FALSE(control.WaitRequested(0));
  control.Request(EndReason::kThermal, 5);
  const int64_t first = *control.kill_at_micros();
  control.Request(EndReason::kEnded, 0);
  EXPECT_EQ(control.reason(), EndReason::kThermal);
  EXPECT_LT(*control.kill_at_micros(), first);
  EXPECT_EQ(cancelled, 1);
  control.AddCancel([&] { ++cancelled; });  // at once
  EXPECT_EQ(cancelled, 2);
}

TEST(RunControl, FreezingWakesOnceAndRemembersTheLastWish) {
  RunControl control;
  const auto readable = [&] {
    pollfd entry{control.freeze_fd(), POLLIN, 0};
    return poll(&entry, 1, 0) == 1;
  };
  EXPECT_FALSE(control.frozen());
  control.SetFrozen(false);  // nothing new
  EXPECT_FALSE(readable());
  control.SetFrozen(true);
  control.SetFrozen(true);
  EXPECT_TRUE(readable());
  EXPECT_TRUE(control.frozen());
  control.ClearFreezeEvent();
  EXPECT_FALSE(readable());
  control.SetFrozen(false);
  EXPECT_TRUE(readable());
  EXPECT_FALSE(control.frozen());
  EXPECT_FALSE(control.requested());
}

Unit UnitNamed(const std::string& name) {
  return Unit{*AssignmentId::Parse("asg-" + name),
              *UnitId::Parse(name),
              *TenantId::Parse("test-lab"),
              *ExperimentLabel::Parse("some-experiment"),
              *Sha256Hex::Parse(std::string(64, 'a')),
              "2026-07-19T12:00:00Z",
              "{}",
              false};
}

TEST(Slots, RunsAsManyAsThereAreAndNoAssignmentTwice) {
  std::atomic<int> running = 0, most = 0, done = 0;
  {
    Slots slots(2, [&](const Unit&, RunControl& control) {
      most = std::max<int>(most, ++running);
      control.WaitRequested(60);
      control.Finish();
      --running;
      ++done;
    });
    for (const char* name : {"a", "b", "c"}) EXPECT_TRUE(slots.Add(UnitNamed(name)));
    EXPECT_FALSE(slots.Add(UnitNamed("a")));
    while (slots.ListRunning().size() < 2) std::this_thread::yield();
    EXPECT_EQ(slots.Abort(*UnitId::Parse("zzz"), 0), Slots::AbortOutcome::kNotRunning);
    EXPECT_EQ(slots.Abort(*UnitId::Parse("a"), 0), Slots::AbortOutcome::kTerminated);
    while (!slots.InHand("asg-c") || slots.ListRunning().size() < 2) std::this_thread::yield();
    slots.End("asg-b", EndReason::kEnded);
    while (slots.InHand("asg-b")) std::this_thread::yield();
    slots.Stop(0);
    EXPECT_FALSE(slots.Add(UnitNamed("d")));
  }
  EXPECT_EQ(most, 2);
  EXPECT_EQ(done, 3);
}

TEST(Slots, AUnitThatIsEndedWhileItWaitsNeverRuns) {
  std::atomic<int> begun = 0;
  Slots slots(1, [&](const Unit& unit, RunControl& control) {
    ++begun;
    EXPECT_NE(unit.unit_id.str(), "b");
    control.WaitRequested(60);
  });
  slots.Add(UnitNamed("a"));
  slots.Add(UnitNamed("b"));
  while (slots.ListRunning().empty()) std::this_thread::yield();
  slots.End("asg-b", EndReason::kEnded);
  slots.End("asg-a", EndReason::kEnded);
  while (slots.InHand("asg-a") || slots.InHand("asg-b")) std::this_thread::yield();
  EXPECT_EQ(begun, 1);
}

TEST(ExecutorOutput, LimitsOfThePayload) {
  const UnitId unit = *UnitId::Parse("u");
  EXPECT_TRUE(ParseExecutorOutput("{\"payload\":{}}", unit, false, 0).ok());
  EXPECT_EQ(ParseExecutorOutput("{\"payload\":{}}", unit, false, 0)->completed_at,
            "1970-01-01T00:00:00+00:00");
  // One octet of text can become six in canonical form.
  std::string text = "{\"payload\":{\"x\":\"";
  for (int i = 0; i < 600'000; ++i) text += "\xc3\xa9";
  EXPECT_FALSE(ParseExecutorOutput(text + "\"}}", unit, false, 0).ok());
  EXPECT_FALSE(
      ParseExecutorOutput("{\"payload\":{\"raw_response\":\"\\ud800\"}}", unit, true, 0).ok());
  EXPECT_EQ(
      ParseExecutorOutput("{\"payload\":{\"raw_response\":7}}", unit, true, 0)->canonical_payload,
      "{}");
  EXPECT_FALSE(ParseExecutorOutput("{\"payload\":{\"a\":1,\"a\":1.0}}", unit, false, 0).ok());
}

}  // namespace
}  // namespace auspex::runnerd
