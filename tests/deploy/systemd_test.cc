// SPDX-License-Identifier: AGPL-3.0-only
// The service units: systemd reads them without a word, its own measure of exposure stays within the bounds of the design, what is weaker
// than it could be says why, and they are those sockets and users that the daemons expect.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>

#include "runnerd/seccomp_policy.h"
#include "tests/deploy/services.h"
#include "tests/deploy/unit_file.h"
#include "tests/e2e/harness.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

namespace auspex::deploy {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// All units in a folder, with our programs where this build has them: systemd looks at whether they can be started.
std::vector<std::string> InstallInto(const testing::TempDir& folder) {
  std::vector<std::string> paths;
  for (const std::string& name : UnitNames("")) {
    std::string text = e2e::ReadText(DeployFile("systemd/" + name));
    const std::string installed = "/usr/libexec/auspex/auspex-", built = e2e::Program("auspex-");
    for (size_t at = text.find(installed); at != std::string::npos; at = text.find(installed, at))
      text.replace(at, installed.size(), built);
    paths.push_back(folder / name);
    e2e::WriteText(paths.back(), text);
  }
  return paths;
}

e2e::Finished Verify(const std::vector<std::string>& paths) {
  std::vector<std::string> command = {"/usr/bin/systemd-analyze", "verify", "--man=no"};
  command.insert(command.end(), paths.begin(), paths.end());
  return e2e::RunCommand(command, 60);
}

// Whether systemd rates the service at `tenths` of a point or less.
bool AtMost(const std::string& path, int tenths) {
  return e2e::RunCommand({"/usr/bin/systemd-analyze", "security", "--offline=true", "--no-pager",
                          "--threshold=" + std::to_string(tenths), path})
             .code == 0;
}

TEST(ServiceUnits, SystemdReadsThemWithoutAWord) {
  AUSPEX_SKIP_UNLESS(HasSystemdAnalyze(), "systemd-analyze (package systemd)");
  testing::TempDir folder;
  const std::vector<std::string> paths = InstallInto(folder);
  ASSERT_GE(paths.size(), 14u);
  const e2e::Finished verified = Verify(paths);
  EXPECT_EQ(verified.code, 0);
  EXPECT_EQ(verified.out + verified.err, "");
  // It exits with 0 for a value that it does not know: the words are what counts.
  const std::string path = folder / Service("keyd");
  e2e::WriteText(path, e2e::ReadText(path) + "ProtectSystem=strikt\n");
  EXPECT_THAT(Verify(paths).err, HasSubstr("strikt"));
}

TEST(ServiceUnits, ExposureStaysWithinTheBounds) {
  AUSPEX_SKIP_UNLESS(HasSystemdAnalyze(), "systemd-analyze (package systemd)");
  const std::map<std::string, int> bounds = {
      {"keyd", 10}, {"stated", 10}, {"netd", 20}, {"runnerd", 30}};
  for (const auto& [daemon, tenths] : bounds) {
    EXPECT_TRUE(AtMost(DeployFile("systemd/" + Service(daemon)), tenths)) << daemon;
  }
  // The measure measures: the same unit without its capability line is over the bound.
  testing::TempDir folder;
  std::string text = e2e::ReadText(DeployFile("systemd/" + Service("keyd")));
  const std::string line = "CapabilityBoundingSet=\n";
  ASSERT_NE(text.find(line), std::string::npos);
  e2e::WriteText(folder / Service("keyd"), text.replace(text.find(line), line.size(), ""));
  EXPECT_FALSE(AtMost(folder / Service("keyd"), 10));
}

TEST(ServiceUnits, WhatIsWeakerThanItCouldBeSaysWhy) {
  const std::vector<std::string> weak = {"no", "default", "all"};
  for (const std::string& daemon : kDaemons) {
    const UnitFile unit(Service(daemon));
    for (const UnitFile::Line& line : unit.lines()) {
      const bool weakens = std::find(weak.begin(), weak.end(), line.value) != weak.end() ||
                           line.key == "Delegate" ||
                           (line.key == "RestrictAddressFamilies" && line.value != "AF_UNIX");
      if (weakens) {
        EXPECT_TRUE(line.explained) << daemon << ": " << line.key << "=" << line.value;
      }
    }
  }
}

TEST(ServiceUnits, AllFourTakeTheSameAwayButForWhatIsNamed) {
  const std::map<std::string, std::string> all = {{"NoNewPrivileges", "yes"},
                                                  {"CapabilityBoundingSet", ""},
                                                  {"AmbientCapabilities", ""},
                                                  {"ProtectSystem", "strict"},
                                                  {"ProtectHome", "yes"},
                                                  {"PrivateTmp", "yes"},
                                                  {"PrivateDevices", "yes"},
                                                  {"DevicePolicy", "closed"},
                                                  {"ProtectKernelModules", "yes"},
                                                  {"RestrictSUIDSGID", "yes"},
                                                  {"LimitCORE", "0"},
                                                  {"SystemCallArchitectures", "native"},
                                                  {"UMask", "0077"},
                                                  {"RestartPreventExitStatus", "2"},
                                                  {"Type", "notify"},
                                                  {"Restart", "on-failure"},
                                                  {"InaccessiblePaths", "-/run/dbus"}};
  for (const std::string& daemon : kDaemons) {
    const UnitFile unit(Service(daemon));
    for (const auto& [key, value] : all) {
      EXPECT_THAT(unit.All(key), ElementsAre(value)) << daemon << ": " << key;
    }
    EXPECT_EQ(unit.Value("User"), "auspex-" + daemon);
    EXPECT_EQ(unit.Value("Group"), "auspex-" + daemon);
    EXPECT_THAT(unit.All("SupplementaryGroups"), IsEmpty()) << daemon;
    EXPECT_THAT(unit.All("WatchdogSec"), Not(IsEmpty())) << daemon;
    EXPECT_THAT(unit.All("MemoryMax"), Not(IsEmpty())) << daemon;
    EXPECT_EQ(unit.Value("PrivateNetwork"), daemon == "netd" ? "no" : "yes") << daemon;
    EXPECT_THAT(unit.Value("Requires"), HasSubstr("auspex-" + daemon + "-owner.socket"));
  }
  EXPECT_EQ(UnitFile(Service("keyd")).Value("LoadCredentialEncrypted"), "auspex-keyd-seal");
  EXPECT_EQ(UnitFile(Service("runnerd")).Value("KillMode"), "mixed");
}

// The table of docs/ARCHITECTURE.md, "Processes and sockets".
TEST(ServiceUnits, SocketsLetInThePeerOfTheTable) {
  const std::map<std::string, std::string> peers = {{"keyd/request", "auspex-netd"},
                                                    {"keyd/result", "auspex-runnerd"},
                                                    {"keyd/owner", ""},
                                                    {"stated/net", "auspex-netd"},
                                                    {"stated/run", "auspex-runnerd"},
                                                    {"stated/owner", ""},
                                                    {"netd/owner", ""},
                                                    {"runnerd/owner", ""}};
  EXPECT_EQ(UnitNames(".socket").size(), peers.size());
  for (const auto& [role, peer] : peers) {
    const std::string daemon = role.substr(0, role.find('/')),
                      name = role.substr(daemon.size() + 1);
    const UnitFile unit("auspex-" + daemon + "-" + name + ".socket");
    EXPECT_THAT(unit.All("ListenStream"), ElementsAre("/run/auspex/" + role + ".sock"));
    EXPECT_EQ(unit.Value("FileDescriptorName"), name);
    EXPECT_EQ(unit.Value("Service"), Service(daemon));
    EXPECT_EQ(unit.Value("SocketUser"), peer.empty() ? "root" : peer) << role;
    EXPECT_EQ(unit.Value("SocketGroup"), peer.empty() ? "auspex" : "root") << role;
    EXPECT_EQ(unit.Value("SocketMode"), peer.empty() ? "0660" : "0600") << role;
    EXPECT_THAT(UnitFile(Service(daemon)).Value("Requires"),
                HasSubstr("auspex-" + daemon + "-" + name + ".socket"));
  }
}

// Tenants get runnerd's list with their own inside it: what theirs allows must not be denied by the outer one.
TEST(ServiceUnits, RunnerdsListLeavesTenantsTheirCalls) {
  AUSPEX_SKIP_UNLESS(HasSystemdAnalyze(), "systemd-analyze (package systemd)");
  const std::set<std::string> outer = UnitFile(Service("runnerd")).SystemCalls();
  ASSERT_GT(outer.size(), 200u);
  std::set<std::string> denied;
  const auto look = [&](std::string_view name) {
    if (!outer.contains(std::string(name))) denied.insert(std::string(name));
  };
  for (const runnerd::SyscallGroup& group : runnerd::TenantPolicy().allowed) {
    for (const std::string_view name : group.names) look(name);
  }
  for (const runnerd::ArgumentRule& rule : runnerd::TenantPolicy().ruled) look(rule.name);
  EXPECT_THAT(denied, IsEmpty());
  for (const char* never : {"ptrace", "bpf", "init_module", "reboot", "swapon", "settimeofday"}) {
    EXPECT_THAT(outer, Not(Contains(never)));
  }
}

TEST(ServiceUnits, UsersAndFoldersAreMade) {
  AUSPEX_SKIP_UNLESS(::access("/usr/bin/systemd-sysusers", X_OK) == 0,
                     "systemd-sysusers (package systemd)");
  AUSPEX_SKIP_UNLESS(::geteuid() == 0, "root, whose the folders are");
  testing::TempDir root;
  ASSERT_EQ(::mkdir((root / "etc").c_str(), 0755), 0);
  const e2e::Finished users = e2e::RunCommand(
      {"/usr/bin/systemd-sysusers", "--root=" + root.path(), DeployFile("sysusers.d/auspex.conf")});
  EXPECT_EQ(users.code, 0) << users.err;
  const std::string passwd = e2e::ReadText(root / "etc/passwd");
  for (const std::string& daemon : kDaemons) {
    EXPECT_THAT(passwd, HasSubstr("auspex-" + daemon + ":x:"));
  }
  EXPECT_THAT(passwd, Not(HasSubstr("/bin/sh")));
  EXPECT_THAT(e2e::ReadText(root / "etc/group"), HasSubstr("auspex:x:"));
  const e2e::Finished folders =
      e2e::RunCommand({"/usr/bin/systemd-tmpfiles", "--create", "--root=" + root.path(),
                       DeployFile("tmpfiles.d/auspex.conf")});
  EXPECT_EQ(folders.code, 0) << folders.err;
  struct stat info {};
  ASSERT_EQ(::stat((root / "etc/credstore.encrypted").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  ASSERT_EQ(::stat((root / "var/lib/auspex/data").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0755u);
}

}  // namespace
}  // namespace auspex::deploy
