// SPDX-License-Identifier: AGPL-3.0-only
// `auspex service` with a person's real service manager: install, enrol, work, be killed, be misconfigured, uninstall. It changes that
// person's services, so it runs beside a manager of its own (with_user_manager.sh). It also runs as the person of the machine of ./dev
// vm, where cgroup v2 has controllers. The tests follow each other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "tests/deploy/services.h"
#include "tests/e2e/lab.h"
#include "tests/support/pace.h"
#include "tests/support/skip.h"

namespace auspex::deploy {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

namespace fs = std::filesystem;

// The person of the machine.
constexpr char kHome[] = "/home/owner";
constexpr char kUnits[] = "/home/owner/.config/systemd/user";
constexpr char kConfig[] = "/home/owner/.config/auspex/worker.toml";

// What guest.py of tests/vm leaves, and no host has.
bool InTheMachine() { return ::access("/var/lib/auspex-vm", F_OK) == 0; }
// A person whose services may be changed: of that machine, or made by with_user_manager.sh.
bool HasAPerson() {
  return (InTheMachine() || std::getenv("AUSPEX_USER_MANAGER") != nullptr) && ::geteuid() == 1000 &&
         std::getenv("XDG_RUNTIME_DIR") != nullptr;
}

e2e::Finished Execute(const std::vector<std::string>& command) {
  return e2e::RunCommand(command, 60 * TestPace(),
                         {{"HOME", kHome}, {"XDG_RUNTIME_DIR", std::getenv("XDG_RUNTIME_DIR")}});
}
e2e::Finished Auspex(std::vector<std::string> words) {
  words.insert(words.begin(), e2e::Program("auspex"));
  return Execute(words);
}
Services Manager() { return {Execute, {"/usr/bin/systemctl", "--user"}}; }
e2e::Finished Systemctl(const std::vector<std::string>& words) {
  return Manager().Systemctl(words);
}
std::string Property(const std::string& unit, const std::string& name) {
  return Manager().Property(unit, name);
}
std::vector<std::string> OurFiles() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(kUnits, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("auspex") && !name.ends_with(".d")) names.push_back(name);
  }
  return names;
}
// A setting of the person's own beside each service: where its log goes.
std::string LogOf(const std::string& daemon) { return std::string(kHome) + "/" + daemon + ".log"; }
void AddOwnSettings() {
  for (const std::string& daemon : kDaemons) {
    const std::string folder = std::string(kUnits) + "/" + Service(daemon) + ".d";
    fs::create_directories(folder);
    e2e::WriteText(folder + "/log.conf", "[Service]\nStandardError=append:" + LogOf(daemon) + "\n");
  }
}

class UserService : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!HasAPerson()) return;
    folder_ = new e2e::TempFolder;
    coordinator_ = new e2e::Coordinator(*folder_ / "c");
    ASSERT_NO_FATAL_FAILURE(coordinator_->Start());
    fs::create_directories(fs::path(kConfig).parent_path());
    Configure("");
    AddOwnSettings();
  }
  static void TearDownTestSuite() {
    if (!HasAPerson()) return;
    Auspex({"service", "uninstall", "--force"});
    // A sandbox's own /etc is closed to its owner too.
    Execute({"/bin/sh", "-c",
             "chmod -R u+w ~/.config ~/.local; rm -rf ~/.config ~/.local ~/*.log; systemctl --user "
             "daemon-reload"});
    delete coordinator_;
    delete folder_;
  }
  void SetUp() override {
    AUSPEX_SKIP_UNLESS(HasAPerson(), "root and systemd, for with_user_manager.sh; or ./dev vm");
  }
  static void Configure(const std::string& more) {
    e2e::WriteText(kConfig, WorkerSettings(coordinator_->url(), more));
  }
  static bool AllActive() { return Manager().AllActive(); }
  static bool Compute(const std::string& label, int units) {
    const e2e::Package noop = e2e::Pack("noop", label);
    const std::string experiment =
        coordinator_->Submit(noop.manifest, e2e::Units(units), 1, noop.archive_base64);
    if (!coordinator_->WaitCompleted(experiment, units, 60 * TestPace())) return false;
    const e2e::Json results = coordinator_->Results(experiment);
    for (const e2e::Json& unit : results["units"]) {
      for (const e2e::Json& result : unit["results"]) EXPECT_EQ(result["ran_under"], "strict");
    }
    return true;
  }

  static e2e::TempFolder* folder_;
  static e2e::Coordinator* coordinator_;
};
e2e::TempFolder* UserService::folder_ = nullptr;
e2e::Coordinator* UserService::coordinator_ = nullptr;

TEST_F(UserService, InstallStartsFourServicesAndEnrolmentUsesThem) {
  const e2e::Finished installed = Auspex({"service", "install"});
  ASSERT_EQ(installed.code, 0) << installed.out << installed.err;
  EXPECT_THAT(installed.out, HasSubstr("wrote 13 of 13 units"));
  // The person of the machine lingers.
  EXPECT_THAT(installed.err, Not(HasSubstr("enable-linger")));
  ASSERT_TRUE(AllActive());
  EXPECT_EQ(Property("auspex.target", "UnitFileState"), "enabled");
  const e2e::Finished enrolled = Auspex({"bootstrap"});
  ASSERT_EQ(enrolled.code, 0) << enrolled.out << enrolled.err;
  EXPECT_TRUE(Compute("user-service", 3));
  for (const std::string& daemon : kDaemons)
    EXPECT_EQ(Property(Service(daemon), "NRestarts"), "0") << daemon;
  // Debian's minimal person has no keyring.
  EXPECT_THAT(Auspex({"key", "show"}).out, HasSubstr("local-secret"));
}

TEST_F(UserService, TheManagerGivesWhatTheUnitsSay) {
  for (const std::string& daemon : kDaemons) {
    const std::string pid = Property(Service(daemon), "MainPID");
    const std::string status = e2e::ReadText("/proc/" + pid + "/status");
    EXPECT_THAT(status, HasSubstr("\nSeccomp:\t2\n")) << daemon;
    EXPECT_THAT(status, HasSubstr("\nNoNewPrivs:\t1\n")) << daemon;
    EXPECT_THAT(status, HasSubstr("\nCapEff:\t0000000000000000\n")) << daemon;
    EXPECT_THAT(Property(Service(daemon), "StatusText"), Not(IsEmpty())) << daemon;
  }
  const e2e::Finished probe = Auspex({"sandbox", "probe"});
  EXPECT_EQ(probe.code, 0) << probe.out << probe.err;
}

// The units leave the daemons what these need to take the rest away themselves.
TEST_F(UserService, NoLayerOfTheDaemonsOwnIsMissing) {
  for (const std::string& daemon : kDaemons) {
    const std::string log = e2e::ReadText(LogOf(daemon));
    EXPECT_THAT(log, HasSubstr("event=ready")) << daemon;
    EXPECT_THAT(log, Not(HasSubstr("hardening_missing"))) << daemon;
    if (daemon == "stated") {
      EXPECT_THAT(log, Not(HasSubstr("layer_missing")));
    }
  }
}

TEST_F(UserService, WhatIsCountedIsBoundedByCgroups) {
  AUSPEX_SKIP_UNLESS(InTheMachine(), "controllers of cgroup v2 (tests/vm has them)");
  for (const std::string& daemon : kDaemons) {
    const std::string cgroup = "/sys/fs/cgroup" + Property(Service(daemon), "ControlGroup");
    const std::string memory = e2e::ReadText(cgroup + "/memory.max");
    EXPECT_THAT(memory, Not(::testing::AnyOf("", "max\n"))) << daemon;
    EXPECT_THAT(e2e::ReadText(cgroup + "/pids.max"), Not(::testing::AnyOf("", "max\n"))) << daemon;
    if (daemon == "keyd") {
      EXPECT_EQ(memory, "1073741824\n");
    }
  }
  const e2e::Finished probe = Auspex({"sandbox", "probe"});
  for (const char* layer : {"cgroup-memory", "cgroup-pids"})
    EXPECT_THAT(probe.out, ::testing::ContainsRegex(std::string(layer) + " +in force"));
}

// 0, or why a process of this person may not trace `pid`. Asked by a child: its end is the end of the tracing.
int TraceError(const std::string& pid) {
  const pid_t traced = static_cast<pid_t>(std::atoi(pid.c_str()));
  if (traced <= 0) return ESRCH;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::ptrace(PTRACE_SEIZE, traced, nullptr, nullptr) == 0 ? 0 : errno);
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Why the units have PrivateUsers=no: over a user namespace that their manager makes, a person's processes have every capability.
TEST_F(UserService, NoProcessOfThePersonLooksIntoKeyd) {
  EXPECT_EQ(TraceError(Property(Service("keyd"), "MainPID")), EPERM);
  constexpr char kUnit[] = "auspex-test-keyd.service";
  ASSERT_EQ(Execute({"/usr/bin/systemd-run", "--user", "--quiet", std::string("--unit=") + kUnit,
                     "--property=PrivateUsers=yes", "--property=Type=notify",
                     e2e::Program("auspex-keyd"), "--home", *folder_ / "k"})
                .code,
            0);
  EXPECT_EQ(TraceError(Property(kUnit, "MainPID")), 0);
  Systemctl({"stop", kUnit});
}

TEST_F(UserService, AKilledDaemonIsStartedAgainAndWorkGoesOn) {
  for (const std::string& daemon : kDaemons) {
    EXPECT_TRUE(Manager().ComesBackAfter("KILL", daemon, 30)) << daemon;
  }
  EXPECT_TRUE(Compute("user-service-killed", 1));
}

TEST_F(UserService, NobodyRunsTheWorkerASecondTime) {
  const e2e::Finished daemon = Auspex({"daemon"});
  EXPECT_EQ(daemon.code, 2) << daemon.out << daemon.err;
  EXPECT_THAT(daemon.err, HasSubstr("the services of this worker run already"));
  const e2e::Finished other = Auspex({"--home", *folder_ / "w", "service", "install"});
  EXPECT_EQ(other.code, 2) << other.out << other.err;
  EXPECT_THAT(other.err, HasSubstr("another worker"));
  const e2e::Finished of_other = Auspex({"--home", *folder_ / "w", "service", "status"});
  EXPECT_EQ(of_other.code, 1) << of_other.out << of_other.err;
  EXPECT_THAT(of_other.out, HasSubstr("of another worker"));
  const e2e::Finished not_its = Auspex({"--home", *folder_ / "w", "service", "uninstall"});
  EXPECT_EQ(not_its.code, 2) << not_its.out << not_its.err;
  EXPECT_THAT(not_its.err, HasSubstr("another worker"));
  EXPECT_TRUE(AllActive());
}

TEST_F(UserService, InstalledAgainItChangesNothingAndAChangedUnitIsNotOverwritten) {
  const std::string pid = Property(Service("keyd"), "MainPID");
  const e2e::Finished again = Auspex({"service", "install"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("are as they should be"));
  EXPECT_EQ(Property(Service("keyd"), "MainPID"), pid);

  const std::string path = std::string(kUnits) + "/auspex-netd.service";
  const std::string ours = e2e::ReadText(path);
  e2e::WriteText(path, ours + "MemoryMax=900M\n");
  const e2e::Finished refused = Auspex({"service", "install"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("auspex-netd.service"));
  EXPECT_THAT(e2e::ReadText(path), HasSubstr("900M"));
  EXPECT_EQ(Auspex({"service", "uninstall"}).code, 2);
  const e2e::Finished forced = Auspex({"service", "install", "--force"});
  EXPECT_EQ(forced.code, 0) << forced.err;
  EXPECT_EQ(e2e::ReadText(path), ours);
  // What changed was read again, so that the services were restarted.
  EXPECT_NE(Property(Service("keyd"), "MainPID"), pid);
  EXPECT_TRUE(AllActive());
}

TEST_F(UserService, StatusSaysWhatEachUnitDoes) {
  const e2e::Finished status = Auspex({"service", "status", "--json"});
  EXPECT_EQ(status.code, 0) << status.out << status.err;
  const e2e::Json document = e2e::Json::parse(status.out, nullptr, false);
  ASSERT_TRUE(document.is_object()) << status.out;
  EXPECT_EQ(document["installed"], true);
  EXPECT_EQ(document["running"], true);
  // Only logind knows.
  if (InTheMachine()) {
    EXPECT_EQ(document["lingers"], true);
  }
  ASSERT_EQ(document["units"].size(), 13u);
  for (const e2e::Json& unit : document["units"]) {
    EXPECT_EQ(unit["state"], "active") << unit;
    EXPECT_EQ(unit["file"], "unchanged") << unit;
  }
}

TEST_F(UserService, AWrongConfigurationIsNotTriedAgainAndAgain) {
  Configure("no_such_key = 1\n");
  for (const std::string& daemon : kDaemons) Systemctl({"restart", Service(daemon)});
  EXPECT_TRUE(Manager().AllReach("failed"));
  for (const std::string& daemon : kDaemons) {
    EXPECT_EQ(Property(Service(daemon), "NRestarts"), "0") << daemon;
    EXPECT_EQ(Property(Service(daemon), "ExecMainStatus"), "2") << daemon;
    EXPECT_THAT(e2e::ReadText(LogOf(daemon)), HasSubstr("no_such_key")) << daemon;
  }
  Configure("");
  EXPECT_EQ(Auspex({"service", "status"}).code, 1);
  Systemctl({"reset-failed", "auspex-*"});
  ASSERT_EQ(Systemctl({"start", "auspex.target"}).code, 0);
  EXPECT_TRUE(AllActive());
}

TEST_F(UserService, UninstallLeavesNothingOfItAndKeepsTheState) {
  // One of them has failed, which the manager remembers even of a unit that has gone.
  const std::string own = std::string(kUnits) + "/auspex-netd.service.d/fails.conf";
  e2e::WriteText(own, "[Service]\nRestart=no\nExecStart=\nExecStart=/bin/false\n");
  ASSERT_EQ(Systemctl({"daemon-reload"}).code, 0);
  EXPECT_NE(Systemctl({"restart", "auspex-netd.service"}).code, 0);
  ASSERT_EQ(Property("auspex-netd.service", "ActiveState"), "failed");
  fs::remove(own);
  const e2e::Finished removed = Auspex({"service", "uninstall"});
  ASSERT_EQ(removed.code, 0) << removed.out << removed.err;
  EXPECT_THAT(OurFiles(), IsEmpty());
  EXPECT_THAT(removed.out, HasSubstr("left, not written by this command: auspex-keyd.service.d"));
  EXPECT_THAT(e2e::ReadText(std::string(kUnits) + "/auspex-keyd.service.d/log.conf"),
              HasSubstr("keyd.log"));
  EXPECT_TRUE(e2e::Eventually(30 * TestPace(), [] {
    return std::all_of(kDaemons.begin(), kDaemons.end(), [](const std::string& daemon) {
      return e2e::PidsNaming("bin/auspex-" + daemon, "auspex-").empty();
    });
  }));
  EXPECT_EQ(Systemctl({"list-units", "--all", "--plain", "--no-legend", "auspex-keyd*",
                       "auspex-stated*", "auspex-netd*", "auspex-runnerd*", "auspex.target"})
                .out,
            "");
  const std::string run = std::string(std::getenv("XDG_RUNTIME_DIR")) + "/auspex";
  EXPECT_FALSE(fs::exists(run + "/keyd/owner.sock"));
  // The worker is there for whoever runs it in another way.
  const e2e::Finished status = Auspex({"status"});
  EXPECT_EQ(status.code, 0) << status.err;
  EXPECT_THAT(status.out, Not(HasSubstr("not_enrolled")));
  EXPECT_EQ(Auspex({"service", "uninstall"}).code, 0);
}

}  // namespace
}  // namespace auspex::deploy
