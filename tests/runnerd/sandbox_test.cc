// SPDX-License-Identifier: AGPL-3.0-only
// Units in real sandboxes: what they see, what they cannot do, how they end, and that nothing of
// them is left.
#include <gmock/gmock.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>

#include "common/base/cat.h"
#include "common/base/unique_fd.h"
#include "common/json/canonical.h"
#include "runnerd/executor_call.h"
#include "runnerd/init/landlock.h"
#include "runnerd/leftovers.h"
#include "runnerd/probe.h"
#include "runnerd/sandbox_arguments.h"
#include "tests/runnerd/fixture.h"
#include "tests/support/pace.h"
#include "tests/support/skip.h"

namespace auspex::runnerd {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class SandboxTest : public PipelineTest {
 protected:
  // Processes that still show the sandboxes' /etc: must be none after every unit (P9).
  int Alive() const { return SandboxProcesses(host_->etc_folder); }
  void TearDown() override { EXPECT_EQ(Alive(), 0); }
};

TEST_F(SandboxTest, ProbeFindsEveryRequiredLayer) {
  const ProbeResult probe = RunProbe(*host_);
  EXPECT_TRUE(probe.ok) << probe.failure;
  for (const IsolationLayer& layer : probe.layers) {
    EXPECT_TRUE(layer.in_force || !layer.required) << layer.name;
    EXPECT_EQ(layer.in_force, layer.remedy.empty()) << layer.name;
  }
}

TEST_F(SandboxTest, EchoRunsStrict) {
  config_.execution_policy = ExecutionPolicy::kSynthetic;
  const UnitOutcome outcome = Run(MakeUnit(std::string(64, 'a'), "{\"a\":1.0,\"b\":\"\\u00e9\"}"));
  EXPECT_EQ(WriteCanonical(PayloadOf(outcome)),
            "{\"echo\":{\"a\":1.0,\"b\":\"\\u00e9\"},\"executor\":\"builtin-echo\"}");
  EXPECT_EQ(std::get<SignedResult>(outcome).result.ran_under, "strict");
}

TEST_F(SandboxTest, WithoutBubblewrapOnlyTheEchoRunsAndSaysPermissive) {
  config_.use_bubblewrap = false;
  EXPECT_THAT(
      Describe(RunTenant({"ok"})),
      StartsWith("sandbox_unavailable: sandbox unavailable: layer bubblewrap is switched off"));
  config_.execution_policy = ExecutionPolicy::kSynthetic;
  const UnitOutcome outcome = Run(MakeUnit(std::string(64, 'a')));
  EXPECT_EQ(WriteCanonical(PayloadOf(outcome)),
            "{\"echo\":{\"n\":1},\"executor\":\"builtin-echo\"}");
  EXPECT_EQ(std::get<SignedResult>(outcome).result.ran_under, "permissive");
}

TEST_F(SandboxTest, MissingBubblewrapIsNamed) {
  host_->bubblewrap.clear();
  EXPECT_THAT(
      Describe(RunTenant({"ok"})),
      HasSubstr("sandbox_unavailable: sandbox unavailable: layer bubblewrap is not in force"));
}

TEST_F(SandboxTest, PolicyOffAndUnreadableSettings) {
  config_.execution_policy = ExecutionPolicy::kOff;
  EXPECT_THAT(Describe(RunTenant({"ok"})), StartsWith("executor_refused: execute_tenant_code=off"));
  UnitPipeline broken({*host_,
                       []() -> absl::StatusOr<Config> { return absl::InvalidArgumentError("bad"); },
                       *thermal_, *isolation_, *packages_, signer_, Clock::System()});
  EXPECT_THAT(Describe(broken.Run(MakeUnit(std::string(64, 'a')), control_)),
              StartsWith("executor_refused: execute_tenant_code=off"));
}

TEST_F(SandboxTest, TenantGetsTheSevenMembersAndItsArguments) {
  const JsonValue input = PayloadOf(RunTenant({"input"}));
  EXPECT_THAT(
      WriteCanonical(input),
      HasSubstr(
          "\"created_at\":\"2026-07-19T12:00:00+00:00\",\"experiment_id\":\"some-experiment\""));
  EXPECT_EQ(input.as_object()->size(), 7u);
  EXPECT_EQ(TextOf(input, "schema_version"), "0.1");
  EXPECT_EQ(TextOf(input, "unit_id"), "unit-1");
  config_.runner_timeout_seconds = 30;
  EXPECT_EQ(WriteCanonical(PayloadOf(RunTenant({"arguments", "x"}))),
            "{\"arguments\":[\"/package/./tenant\",\"arguments\",\"x\",\"--input\",\"/unit/"
            "input.json\",\"--output\","
            "\"/unit/output.json\",\"--models\",\"/unit/models\",\"--timeout\",\"30\"]}");
}

TEST_F(SandboxTest, HostileTenantReachesNothing) {
  const std::string secret = folder_.Write("secret", "key");
  // A listener in the host's abstract namespace, as the login bus is on some hosts.
  UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, "\0auspex-test-abstract", 21);
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t) + 21),
            0);
  ASSERT_EQ(listen(listener.get(), 1), 0);

  JsonValue found = PayloadOf(RunTenant({"attempts", secret}));
  ASSERT_NE(found.as_object(), nullptr);
  EXPECT_EQ(TextOf(found, "hostname"), "auspex");
  EXPECT_EQ(TextOf(found, "ids"), "65534:65534");
  EXPECT_EQ(TextOf(found, "descriptors"), "0 1 2 ");
  EXPECT_EQ(TextOf(found, "folder"), "/package");
  for (const std::string& name : {std::string("LD_"), std::string("SSH"), std::string("HOST")}) {
    EXPECT_EQ(TextOf(found, "environment").find(name), std::string::npos);
  }
  EXPECT_EQ(TextOf(found, "socket_unix"), "WORKED");  // inside, towards its own helpers
  EXPECT_EQ(*found.FindString("clone3"), "errno 38");
  for (const char* text :
       {"hostname", "ids", "descriptors", "folder", "environment", "processes", "socket_unix"}) {
    found.as_object()->erase(text);
  }
  // The mounts show it; only the second wall takes it away.
  if (unit_init::LandlockAbi() == 0) found.as_object()->erase("pseudo_terminal");
  EXPECT_GT(found.as_object()->size(), 50u);
  for (const auto& [name, result] : *found.as_object())
    EXPECT_THAT(*result.as_string(), StartsWith("errno ")) << name;
}

TEST_F(SandboxTest, OutputsThatAreNoFileOrNoJsonAreRefused) {
  const std::vector<std::pair<std::vector<std::string>, const char*>> cases = {
      {{"none"}, "missing"},
      {{"link"}, "not-regular"},
      {{"endless-link"}, "not-regular"},
      {{"fifo"}, "not-regular"},
      {{"folder"}, "not-regular"},
      {{"sparse"}, "too-large"},
      {{"large"}, "too-large"},
      {{"deep"}, "levels of nesting"},
      {{"closed"}, "unreadable"},
      {{"write", ""}, "json"},
      {{"write", "[]"}, "no JSON object"},
      {{"write", "{\"payload\":{\"x\":NaN}}"}, "json"},
      {{"write", "{\"payload\":{\"x\":1e999}}"}, "json"},
      {{"write", "{\"payload\":[]}"}, "payload is no object"},
      {{"write", "{\"exit_code\":0}"}, "payload is missing"},
      {{"write", "{\"payload\":{},\"exit_code\":\"3\"}"}, "exit_code"},
      {{"write", "{\"payload\":{},\"exit_code\":2.9}"}, "exit_code"},
      {{"write", "{\"payload\":{},\"exit_code\":256}"}, "exit_code"},
      {{"write", "{\"payload\":{},\"completed_at\":\"yesterday\"}"}, "completed_at"},
      {{"write", "{\"payload\":{},\"unit_id\":\"other\"}"}, "unit_id"},
      {{"exit", "3"}, "status 3; its error output ends: it is broken"},
      {{"crash"}, "signal 11"},
  };
  for (const auto& [command, reason] : cases) {
    const std::string described = Describe(RunTenant(command));
    if (command[0] == "closed" && geteuid() == 0)
      continue;  // root reads it; the content is refused anyway
    EXPECT_THAT(described, StartsWith("runner_failed: ")) << command[0];
    EXPECT_THAT(described, HasSubstr(reason)) << command[0];
  }
}

TEST_F(SandboxTest, VerdictAndTimeOfTheTenantAreKept) {
  const UnitOutcome outcome = RunTenant(
      {"write", "{\"payload\":{},\"exit_code\":-7,\"completed_at\":\"2026-05-21T00:00:00Z\"}"});
  ASSERT_EQ(Describe(outcome), "completed");
  const UnitResult& result = std::get<SignedResult>(outcome).result;
  EXPECT_EQ(result.exit_code, -7);
  EXPECT_EQ(result.completed_at, "2026-05-21T00:00:00+00:00");
  EXPECT_EQ(result.ran_under, "strict");
}

TEST_F(SandboxTest, RawTextIsTakenOutWhenAskedFor) {
  const std::string output = "{\"payload\":{\"n\":1,\"raw_response\":\"t\\u00e9xt\"}}";
  const UnitOutcome with = RunTenant({"write", output}, ",\"capture\":{\"raw\":true}");
  ASSERT_EQ(Describe(with), "completed");
  EXPECT_EQ(std::get<SignedResult>(with).result.canonical_payload, "{\"n\":1}");
  EXPECT_EQ(std::get<SignedResult>(with).result.raw_response, "t\xc3\xa9xt");
  const UnitOutcome without = RunTenant({"write", output});
  EXPECT_THAT(std::get<SignedResult>(without).result.canonical_payload, HasSubstr("raw_response"));
}

TEST_F(SandboxTest, DetachedGrandchildrenDieAndHoldNothingUp) {
  EXPECT_EQ(Describe(RunTenant({"detach"})),
            "completed");  // its grandchild sleeps for a minute with all pipes open
  EXPECT_EQ(Alive(), 0);
  // The grandchild may be killed between emptying the file and writing it: then there is no JSON,
  // but never half a reading.
  const std::string raced = Describe(RunTenant({"rewrite-later"}));
  EXPECT_TRUE(raced == "completed" || raced.starts_with("runner_failed: executor output")) << raced;
}

TEST_F(SandboxTest, FloodsAreDrainedAndOnlyTheTailIsKept) {
  const std::string described = Describe(RunTenant({"flood"}));
  EXPECT_THAT(described, StartsWith("runner_failed: executor exited with status 7"));
  EXPECT_THAT(described, HasSubstr("the last line"));
  EXPECT_LT(described.size(), 1000u);
}

TEST_F(SandboxTest, WallClockEndsAStubbornTenantWithAllItsChildren) {
  config_.runner_timeout_seconds = 0.3;
  EXPECT_EQ(Describe(RunTenant({"stubborn"})),
            "runner_failed: executor ran over its limit of 0.3 s and was killed");
  config_.runner_timeout_seconds = 20 * TestPace();  // it ends by itself
  EXPECT_EQ(Describe(RunTenant({"forks", "200"})), "completed");
}

TEST_F(SandboxTest, ProcessorTimeOfAProcessIsBounded) {
  config_.cpu_seconds = 1;
  config_.runner_timeout_seconds = 30 * TestPace();  // would refuse it
  // A child works for ten minutes; its parent completes without its figures once it is killed.
  EXPECT_EQ(IntegerOf(PayloadOf(RunTenant({"work", "600000", "1"})), "rounds"), 0);
}

// The kernel exempts root from this limit, so root's test runs as somebody else.
TEST_F(SandboxTest, ProcessLimitHoldsPerSandbox) {
  config_.pids_max = 20;
  const Unit unit = MakeUnit(StageTenant({"forks", "200"}, ",\"capture\":{\"raw\":false}"));
  const auto count = [&] { return IntegerOf(PayloadOf(Run(unit)), "made"); };
  if (geteuid() != 0) {
    EXPECT_EQ(count(), 18);  // the limit, less the init and the executor
    return;
  }
  for (const char* name : {"auspex-unit-init", "auspex-unpack"}) {
    folder_.Write(Cat("bin/", name), ReadWhole(Cat(BinDir(), "/", name)), 0755);
  }
  const uid_t nobody = 65534;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
    ASSERT_EQ(lchown(entry.path().c_str(), nobody, nobody), 0);
  }
  ASSERT_EQ(chown(folder_.path().c_str(), nobody, nobody), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (setgid(nobody) != 0 || setuid(nobody) != 0) _exit(201);
    Prepare(Cat(folder_.path(), "/bin"));
    _exit(HasFatalFailure() ? 202 : static_cast<int>(count()));
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 18);
}

TEST_F(SandboxTest, ScratchAndAddressSpaceAreBounded) {
  const JsonValue filled = PayloadOf(RunTenant({"fill"}));  // a quarter of memory_max_mb
  EXPECT_GT(IntegerOf(filled, "megabytes"), 200);
  EXPECT_LE(IntegerOf(filled, "megabytes"), 256);
  config_.scratch_mb = 24;
  const int64_t smaller = IntegerOf(PayloadOf(RunTenant({"fill"})), "megabytes");
  EXPECT_GT(smaller, 16);
  EXPECT_LE(smaller, 24);
  config_.scratch_mb.reset();
  EXPECT_LT(IntegerOf(PayloadOf(RunTenant({"memory"})), "blocks"), 16);  // 64 MiB each in 1024 MiB
}

TEST_F(SandboxTest, FilesInScratchAreBounded) {
  EXPECT_EQ(Describe(RunTenant({"files", "100000"})), "completed");
  config_.scratch_files = 20'000;
  config_.runner_timeout_seconds = 60 * TestPace();
  EXPECT_EQ(Describe(RunTenant({"files", "3000000"})),
            "runner_failed: executor made more than 20000 files in its scratch and was killed");
}

TEST_F(SandboxTest, ACommandThatNoKernelTakesIsTheTenantsFault) {
  EXPECT_EQ(Describe(RunTenant({"ok", std::string(40'000, 'x')})), "completed");
  EXPECT_THAT(Describe(RunTenant({"ok", std::string(70'000, '\\')})),
              StartsWith("executor_refused: executor.command: more than"));
  EXPECT_THAT(Describe(RunTenant(std::vector<std::string>(10'000, "x"))),
              StartsWith("executor_refused: executor.command: more than"));
}

// The owner says off while the package is on its way: the unit does not start.
TEST_F(SandboxTest, SettingsThatChangeWhileAPackageIsFetchedCount) {
  const BuiltPackage package =
      BuildPackage({"./tenant", "ok"}, {{"tenant", ReadWhole(TenantPath())}});
  archives_.archives[package.sha256] = Gzip(Tar(package.members));
  config_.auto_fetch = true;
  archives_.on_fetch = [this] { config_.execution_policy = ExecutionPolicy::kOff; };
  EXPECT_THAT(Describe(Run(MakeUnit(package.sha256))),
              StartsWith("executor_refused: execute_tenant_code: the owner's settings changed"));
  EXPECT_EQ(archives_.fetches, 1);
  archives_.on_fetch = nullptr;
  config_.execution_policy = ExecutionPolicy::kProvisioned;
  EXPECT_EQ(Describe(Run(MakeUnit(package.sha256))), "completed");
}

TEST_F(SandboxTest, AbortTerminatesOrKillsAndIsReported) {
  const Unit sleeper = MakeUnit(StageTenant({"sleep"})),
             stubborn = MakeUnit(StageTenant({"stubborn"}));
  for (const auto& [unit, grace, killed] :
       {std::tuple(&sleeper, 30.0, false), std::tuple(&stubborn, 0.2, true)}) {
    RunControl control;
    std::thread aborter([&, g = grace, stubborn_now = killed] {
      WaitForSandboxProcesses(host_->etc_folder, stubborn_now ? 1 : 2, stubborn_now);
      control.Request(EndReason::kAborted, g);
    });
    EXPECT_EQ(Describe(pipeline_->Run(*unit, control)), "runner_failed: aborted by the owner");
    aborter.join();
    EXPECT_EQ(control.WaitFinished(), killed);
  }
}

TEST_F(SandboxTest, EndAtAnyMomentLeavesNothing) {
  const Unit unit = MakeUnit(StageTenant({"detach"}));
  for (int delay_us = 0; delay_us < 20'000; delay_us += 700) {
    RunControl control;
    std::thread ender([&control, delay_us] {
      std::this_thread::sleep_for(std::chrono::microseconds(delay_us));
      control.Request(EndReason::kEnded);
    });
    const std::string described = Describe(pipeline_->Run(unit, control));
    ender.join();
    EXPECT_TRUE(described == "withdrawn" || described == "completed") << described;
    EXPECT_EQ(Alive(), 0) << delay_us;
  }
}

TEST_F(SandboxTest, ThermalLatchRefusesAndEnds) {
  folder_.Write("thermal/thermal_zone0/temp", "90000\n");
  EXPECT_EQ(Describe(RunTenant({"ok"})), "thermal_critical: temperature is critical");
  folder_.Write("thermal/thermal_zone0/temp", "60000\n");
  RunControl control;
  control.Request(EndReason::kThermal);
  EXPECT_THAT(Describe(pipeline_->Run(MakeUnit(StageTenant({"sleep"})), control)),
              StartsWith("thermal_critical: "));
}

TEST_F(SandboxTest, InterpretersWork) {
  if (access("/usr/bin/python3", X_OK) == 0) {
    const BuiltPackage package = BuildPackage(
        {"python3", "run.py"},
        {{"run.py",
          "import sys, json, os, subprocess, threading, tempfile, random\n"
          "a = sys.argv\n"
          "unit = json.load(open(a[a.index('--input') + 1]))\n"
          "t = threading.Thread(target=lambda: None); t.start(); t.join()\n"
          "said = subprocess.run(['sh', '-c', 'echo hello | tr a-z A-Z'], capture_output=True, "
          "text=True).stdout.strip()\n"
          "with tempfile.NamedTemporaryFile() as f: f.write(b'x')\n"
          "json.dump({'payload': {'said': said, 'n': unit['payload']['n'], 'uid': os.getuid()}},"
          " open(a[a.index('--output') + 1], 'w'))\n"}});
    for (const TarMember& member : package.members)
      folder_.Write(Cat("staged/", package.sha256, "/", member.path), member.content);
    EXPECT_EQ(WriteCanonical(PayloadOf(Run(MakeUnit(package.sha256)))),
              "{\"n\":1,\"said\":\"HELLO\",\"uid\":65534}");
  }
  const BuiltPackage shell = BuildPackage(
      {"/bin/sh", "-c", "echo '{\"payload\":{\"sh\":1}}' > /unit/output.json"}, {{"x", "x"}});
  for (const TarMember& member : shell.members)
    folder_.Write(Cat("staged/", shell.sha256, "/", member.path), member.content);
  EXPECT_EQ(WriteCanonical(PayloadOf(Run(MakeUnit(shell.sha256)))), "{\"sh\":1}");
}

TEST_F(SandboxTest, LeftoversOfAnEarlierProcessAreEnded) {
  // A sandbox whose runnerd is gone: started by a thread of ours and found by its /etc alone.
  const Unit unit = MakeUnit(StageTenant({"stubborn"}));
  RunControl control;
  std::string described;
  std::thread runner([&] { described = Describe(pipeline_->Run(unit, control)); });
  WaitForSandboxProcesses(host_->etc_folder, 2);
  EXPECT_GE(EndLeftovers(host_->etc_folder), 1);  // with the init its children go
  runner.join();
  EXPECT_THAT(described, StartsWith("runner_failed: "));
}

// For a shell that plays another process: a child of it would have its command line for a moment.
constexpr char kStandsStill[] = "kill -STOP $$; :";

// A bubblewrap whose parent died before it had built anything waits for ever, in the host's root: only its command line tells
// whose it is. A shell plays it, with the command line that a sandbox really gets.
TEST_F(SandboxTest, AHalfBuiltLeftoverIsKnownByItsCommandLine) {
  for (const bool ours : {true, false}) {
    const auto line = SandboxArguments(*host_, EchoSandbox());
    ASSERT_TRUE(line.ok()) << line.status();
    std::vector<std::string> words = {host_->bubblewrap, "-c", kStandsStill};
    words.insert(words.end(), line->begin(), line->end());
    if (!ours) std::replace(words.begin(), words.end(), host_->etc_folder, host_->etc_folder + "x");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      execv("/bin/sh", argv.data());
      _exit(127);
    }
    const auto cmdline = [child] { return ReadWhole(Cat("/proc/", child, "/cmdline")); };
    while (cmdline().find(kStandsStill) == std::string::npos) usleep(1000);
    EXPECT_EQ(EndLeftovers(host_->etc_folder), ours ? 1 : 0);
    kill(child, SIGKILL);
    EXPECT_EQ(waitpid(child, nullptr, 0), child);
  }
}

// Any user can give a program that name and that command line. Who may not be killed is not waited
// for: each would cost every start twenty seconds.
TEST_F(SandboxTest, AnotherUsersLookAlikeHoldsNothingUp) {
  AUSPEX_SKIP_UNLESS(geteuid() == 0, "root, to run a process as another user");
  std::vector<std::string> words = {"/usr/bin/bwrap", "-c", kStandsStill, host_->etc_folder};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t stranger = fork();
  if (stranger == 0) {
    if (setresgid(65533, 65533, 65533) == 0 && setresuid(65533, 65533, 65533) == 0)
      execv("/bin/sh", argv.data());
    _exit(127);
  }
  const auto started = [stranger] {
    return ReadWhole(Cat("/proc/", stranger, "/cmdline")).find(kStandsStill) != std::string::npos;
  };
  for (int i = 0; i < 10'000 && !started(); ++i) usleep(1000);
  ASSERT_TRUE(started());
  const pid_t starter = fork();
  if (starter == 0) {
    // As any user is towards another: without the right to signal everybody.
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
    syscall(SYS_capget, &header, data);
    data[0].effective &= ~(1U << CAP_KILL);
    if (syscall(SYS_capset, &header, data) != 0) _exit(99);
    _exit(EndLeftovers(host_->etc_folder));
  }
  int status = 0;
  EXPECT_EQ(waitpid(starter, &status, 0), starter);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(waitpid(stranger, nullptr, WNOHANG), 0) << "it was another user's";
  kill(stranger, SIGKILL);
  EXPECT_EQ(waitpid(stranger, nullptr, 0), stranger);
}

}  // namespace
}  // namespace auspex::runnerd
