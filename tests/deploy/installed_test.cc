// SPDX-License-Identifier: AGPL-3.0-only
// The services under a real systemd, as the packages install them and under their profiles: started, at work, killed, misconfigured, stopped.
// It changes the whole host, so it runs in the machine of ./dev vm and nowhere else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "tests/deploy/services.h"
#include "tests/e2e/lab.h"
#include "tests/support/pace.h"
#include "tests/support/skip.h"

namespace auspex::deploy {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kConfig[] = "/etc/auspex/worker.toml";

// What guest.py of tests/vm leaves, and no host has.
bool InTheMachine() { return ::access("/var/lib/auspex-vm/plan.json", F_OK) == 0; }

e2e::Finished Execute(const std::vector<std::string>& command) {
  return e2e::RunCommand(command, 30 * TestPace());
}
Services Manager() { return {Execute, {"/usr/bin/systemctl"}}; }
e2e::Finished Systemctl(const std::vector<std::string>& words) {
  return Manager().Systemctl(words);
}
std::string Property(const std::string& unit, const std::string& name) {
  return Manager().Property(unit, name);
}
e2e::Finished Auspex(std::vector<std::string> words) {
  words.insert(words.begin(), {"/usr/bin/auspex", "--system"});
  return Execute(words);
}
std::string Journal(const std::string& unit) {
  return Execute({"/usr/bin/journalctl", "--no-pager", "-n", "40", "-u", unit}).out;
}

// The packages of ./dev deb, once: their profiles are enforced from then on.
void Install() {
  const char* folder = std::getenv("AUSPEX_PACKAGES_DIR");
  ASSERT_NE(folder, nullptr) << "the run in tests/vm/runs.toml needs packages = true";
  std::vector<std::string> command = {"/usr/bin/env", "DEBIAN_FRONTEND=noninteractive",
                                      "/usr/bin/apt-get", "--yes", "install"};
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (name.ends_with(".deb") && name.find("dbgsym") == std::string::npos)
      command.push_back(entry.path());
  }
  const e2e::Finished finished = e2e::RunCommand(command, 60 * TestPace());
  ASSERT_EQ(finished.code, 0) << finished.out << finished.err;
}

class Installed : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!InTheMachine()) return;
    folder_ = new e2e::TempFolder;
    coordinator_ = new e2e::Coordinator(*folder_ / "c", {"--idp", "fake"});
    ASSERT_NO_FATAL_FAILURE(coordinator_->Start());
    ASSERT_NO_FATAL_FAILURE(Install());
    Configure("");
    ASSERT_EQ(Systemctl({"start", "auspex.target"}).code, 0);
    ASSERT_TRUE(AllActive());
  }
  static void TearDownTestSuite() {
    if (!InTheMachine()) return;
    Systemctl({"stop", "auspex.target"});
    delete coordinator_;
    delete folder_;
  }
  void SetUp() override {
    AUSPEX_SKIP_UNLESS(InTheMachine(), "the machine of ./dev vm, whose services may be changed");
  }
  void TearDown() override {
    if (!HasFailure()) return;
    for (const std::string& daemon : kDaemons)
      std::printf("---- %s\n%s\n", daemon.c_str(), Journal(Service(daemon)).c_str());
  }

  static void Configure(const std::string& more) {
    e2e::WriteText(kConfig, WorkerSettings(coordinator_->url(), more));
    ASSERT_EQ(::chmod(kConfig, 0644), 0);
  }
  static bool AllActive() { return Manager().AllActive(); }
  static bool Compute(const std::string& label, int units) {
    const e2e::Package noop = e2e::Pack("noop", label);
    const std::string experiment =
        coordinator_->Submit(noop.manifest, e2e::Units(units), 1, noop.archive_base64);
    return coordinator_->WaitCompleted(experiment, units, 60 * TestPace());
  }

  static e2e::TempFolder* folder_;
  static e2e::Coordinator* coordinator_;
};
e2e::TempFolder* Installed::folder_ = nullptr;
e2e::Coordinator* Installed::coordinator_ = nullptr;

TEST_F(Installed, TheTargetStartsFourServicesThatSystemdHasConfined) {
  for (const std::string& daemon : kDaemons) {
    const std::string pid = Property(Service(daemon), "MainPID");
    const std::string status = e2e::ReadText("/proc/" + pid + "/status");
    EXPECT_THAT(status, HasSubstr("\nCapBnd:\t0000000000000000\n")) << daemon;
    EXPECT_THAT(status, HasSubstr("\nSeccomp:\t2\n")) << daemon;
    EXPECT_EQ(e2e::ReadText("/proc/" + pid + "/attr/current"), "auspex-" + daemon + " (enforce)\n");
    EXPECT_EQ(Execute({"/bin/ps", "-o", "user:32=", "-p", pid}).out, "auspex-" + daemon + "\n");
    const bool own_network = std::filesystem::read_symlink("/proc/" + pid + "/ns/net") !=
                             std::filesystem::read_symlink("/proc/self/ns/net");
    EXPECT_EQ(own_network, daemon != "netd") << daemon;
    EXPECT_THAT(Property(Service(daemon), "StatusText"), Not(IsEmpty())) << daemon;
    EXPECT_EQ(Property(Service(daemon), "NRestarts"), "0") << Journal(Service(daemon));
  }
  EXPECT_THAT(Journal("init.scope"), Not(HasSubstr("auspex-keyd.service: Unknown")));
}

TEST_F(Installed, TheFirstStartMadeTheCredentialThatSealsTheKey) {
  struct stat info {};
  ASSERT_EQ(::stat("/etc/credstore.encrypted/auspex-keyd-seal", &info), 0);
  EXPECT_EQ(info.st_mode & 077, 0u);
  const e2e::Finished enrolled = Auspex({"bootstrap"});
  ASSERT_EQ(enrolled.code, 0) << enrolled.out << enrolled.err;
  EXPECT_THAT(Auspex({"key", "show"}).out, HasSubstr("credential"));
}

TEST_F(Installed, TwentyUnitsRunStrictAndTheirReceiptsAreVerified) {
  constexpr int kUnits = 20;
  const e2e::Package noop = e2e::Pack("noop", "installed-twenty");
  const std::string experiment =
      coordinator_->Submit(noop.manifest, e2e::Units(kUnits), 1, noop.archive_base64);
  ASSERT_TRUE(coordinator_->WaitCompleted(experiment, kUnits, 120 * TestPace()))
      << coordinator_->Progress(experiment) << Auspex({"sandbox", "check"}).out;
  const e2e::Json results = coordinator_->Results(experiment);
  for (const e2e::Json& unit : results["units"]) {
    for (const e2e::Json& result : unit["results"]) EXPECT_EQ(result["ran_under"], "strict");
  }
  EXPECT_TRUE(e2e::Eventually(30 * TestPace(), [] {
    const e2e::Json list = e2e::Json::parse(
        Auspex({"receipts", "list", "--limit", "100", "--json"}).out, nullptr, false);
    if (!list.is_object() || list["results"].size() != kUnits) return false;
    return std::all_of(list["results"].begin(), list["results"].end(), [](const e2e::Json& result) {
      return result["receipt_status"] == "canonical";
    });
  }));
}

// systemd's own child ends the daemon; its socket holds what is asked meanwhile.
TEST_F(Installed, AKilledDaemonIsStartedAgainAndWorkGoesOn) {
  for (const std::string& daemon : kDaemons) {
    EXPECT_TRUE(Manager().ComesBackAfter("KILL", daemon, 30)) << daemon;
  }
  EXPECT_TRUE(Compute("installed-killed", 2));
}

TEST_F(Installed, AHangingDaemonMeetsTheWatchdog) {
  EXPECT_TRUE(Manager().ComesBackAfter("STOP", "stated", 90));
  EXPECT_THAT(Journal(Service("stated")), HasSubstr("atchdog"));
}

TEST_F(Installed, RestartingEverythingWithWorkInFlightLosesNothing) {
  const e2e::Package noop = e2e::Pack("noop", "installed-restart");
  const std::string experiment =
      coordinator_->Submit(noop.manifest, e2e::Units(10), 1, noop.archive_base64);
  ASSERT_TRUE(coordinator_->WaitCompleted(experiment, 1, 60 * TestPace()));
  ASSERT_EQ(Systemctl({"restart", "auspex.target"}).code, 0);
  ASSERT_TRUE(AllActive());
  ASSERT_TRUE(coordinator_->WaitCompleted(experiment, 10, 120 * TestPace()))
      << coordinator_->Progress(experiment);
  std::set<std::string> once;
  const e2e::Json results = coordinator_->Results(experiment);
  for (const e2e::Json& unit : results["units"]) {
    EXPECT_EQ(unit["results"].size(), 1u) << unit;
  }
}

TEST_F(Installed, AWrongConfigurationIsNotTriedAgainAndAgain) {
  Configure("no_such_key = 1\n");
  for (const std::string& daemon : kDaemons) Systemctl({"restart", Service(daemon)});
  EXPECT_TRUE(Manager().AllReach("failed"));
  for (const std::string& daemon : kDaemons) {
    EXPECT_EQ(Property(Service(daemon), "NRestarts"), "0") << daemon;
    EXPECT_THAT(Journal(Service(daemon)), HasSubstr("no_such_key")) << daemon;
  }
  Configure("");
  Systemctl({"reset-failed", "auspex-*"});
  ASSERT_EQ(Systemctl({"start", "auspex.target"}).code, 0);
  EXPECT_TRUE(AllActive());
  EXPECT_TRUE(Compute("installed-mended", 1));
}

TEST_F(Installed, AMemberOfTheGroupUsesTheCommandAndAStrangerDoesNot) {
  const std::vector<std::string> status = {"/usr/bin/auspex", "--system", "status"};
  const auto as_owner = [&](const char* groups) {
    std::vector<std::string> command = {"/usr/bin/setpriv", "--reuid=1000", "--regid=1000", groups};
    command.insert(command.end(), status.begin(), status.end());
    return Execute(command).code;
  };
  EXPECT_EQ(as_owner("--groups=auspex"), 0);
  EXPECT_EQ(as_owner("--clear-groups"), 1);
}

TEST_F(Installed, StoppingTheTargetLeavesNoProcessAndNoSocket) {
  ASSERT_EQ(Systemctl({"stop", "auspex.target"}).code, 0);
  EXPECT_TRUE(e2e::Eventually(
      30 * TestPace(), [] { return e2e::PidsNaming("/usr/libexec/auspex", "--system").empty(); }));
  // systemd closes them after the last service, which the stop of a target does not wait for.
  EXPECT_TRUE(e2e::Eventually(
      30 * TestPace(), [] { return !std::filesystem::exists("/run/auspex/keyd/owner.sock"); }));
  for (const std::string& daemon : kDaemons)
    EXPECT_NE(Property(Service(daemon), "ActiveState"), "failed") << daemon;
}

}  // namespace
}  // namespace auspex::deploy
