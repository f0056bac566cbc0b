// SPDX-License-Identifier: AGPL-3.0-only
// The walls of a sandbox as each unit's own facts tell them, what a sandbox may show, and what a
// host is told when a wall cannot be built.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "common/base/cat.h"
#include "runnerd/attestation.h"
#include "runnerd/escape/table.h"
#include "runnerd/init/landlock.h"
#include "runnerd/remedies.h"
#include "runnerd/seccomp_filter.h"
#include "runnerd/seccomp_policy.h"
#include "runnerd/self_test.h"
#include "runnerd/shown.h"
#include "tests/runnerd/fixture.h"
#include "tests/support/skip.h"

namespace auspex::runnerd {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr char kGoodFacts[] =
    " pid=1 uid=65534 gid=65534 no_new_privs=1 seccomp=2 caps=0 landlock=7 user=12 mnt=12 "
    "pid_ns=12 net=12 ipc=12 uts=12";

Outside Ours() {
  Outside outside;
  for (const char* name : {"user", "mnt", "pid_ns", "net", "ipc", "uts"})
    outside.namespaces[name] = 11;
  outside.landlock_abi = 7;
  return outside;
}

TEST(Attestation, EachFactCountsAndNamesItsLayer) {
  EXPECT_TRUE(JudgeFacts(kGoodFacts, Ours()).ok()) << JudgeFacts(kGoodFacts, Ours());
  const std::tuple<const char*, const char*, const char*> changes[] = {
      {" pid=1", " pid=2", "process-namespace"},
      {"uid=65534", "uid=0", "user-namespace"},
      {"gid=65534", "gid=0", "user-namespace"},
      {"no_new_privs=1", "no_new_privs=0", "no-new-privileges"},
      {"seccomp=2", "seccomp=0", "seccomp"},
      {"caps=0", "caps=200000", "no-capabilities"},
      {"caps=0", "caps=ffffffffffffffff", "no-capabilities"},
      {"landlock=7", "landlock=0", "landlock"},
      {"landlock=7", "landlock=-1", "landlock"},
      {"user=12", "user=11", "user-namespace"},
      {"mnt=12", "mnt=11", "mount-namespace"},
      {"pid_ns=12", "pid_ns=11", "process-namespace"},
      {"net=12", "net=11", "network-namespace"},
      {"ipc=12", "ipc=11", "ipc-namespace"},
      {"uts=12", "uts=11", "hostname"},
      {"net=12", "net=0", "network-namespace"},
  };
  for (const auto& [from, to, layer] : changes) {
    // Changed, gone, said twice, or no number.
    for (const std::string& instead :
         {std::string(to), std::string(), Cat(from, " ", from), Cat(from, "x")}) {
      std::string facts = kGoodFacts;
      facts.replace(facts.find(from), std::string(from).size(), instead);
      const absl::Status judged = JudgeFacts(facts, Ours());
      EXPECT_FALSE(judged.ok()) << facts;
      EXPECT_THAT(std::string(judged.message()), HasSubstr(Cat("layer ", layer, " "))) << facts;
    }
  }
  EXPECT_FALSE(JudgeFacts(kGoodFacts, Outside{}).ok()) << "what is ours could not be read";
}

TEST(Attestation, ThisProcessIsOutside) {
  const Outside outside = LookOutside();
  EXPECT_EQ(outside.namespaces.size(), 6u);
  EXPECT_EQ(outside.landlock_abi, unit_init::LandlockAbi());
}

// bubblewrap, less some of its words: a host where a wall silently is not built.
class WallsTest : public PipelineTest {
 protected:
  void LoseWalls(const std::string& pattern, int values) {
    const std::string real = host_->bubblewrap;
    host_->bubblewrap = folder_.Write(
        Cat("lossy-", ++scripts_),
        Cat("#!/bin/bash\nkept=()\nwhile [ $# -gt 0 ]; do\n  case \"$1\" in\n    --) break;;\n    ",
            pattern, ") shift ", values + 1, ";;\n    *) kept+=(\"$1\"); shift;;\n  esac\ndone\n",
            "exec ", real, " \"${kept[@]}\" \"$@\"\n"),
        0755);
  }
  int scripts_ = 0;
};

TEST_F(WallsTest, AUnitWhoseOwnWallsAreNotThereIsRefusedByTheLayersName) {
  // The probe of the start saw everything in force.
  ASSERT_TRUE(isolation_->Ensure().ok);
  const std::string real = host_->bubblewrap;
  const std::tuple<const char*, int, const char*> losses[] = {
      {"--unshare-net", 0, "network-namespace"},
      {"--unshare-ipc", 0, "ipc-namespace"},
      {"--seccomp", 1, "seccomp"},
      {"--uid", 1, "user-namespace"},
      {"--gid", 1, "user-namespace"},
  };
  for (const auto& [word, values, layer] : losses) {
    host_->bubblewrap = real;
    LoseWalls(word, values);
    const std::string reason = Cat("sandbox_unavailable: sandbox unavailable: layer ", layer,
                                   " is not in force in the unit's own sandbox");
    config_.execution_policy = ExecutionPolicy::kProvisioned;
    EXPECT_EQ(Describe(RunTenant({"ok"})), reason) << word;
    config_.execution_policy = ExecutionPolicy::kSynthetic;
    EXPECT_EQ(Describe(Run(MakeUnit(std::string(64, 'a')))), reason) << word;
  }
  host_->bubblewrap = real;
  LoseWalls("--no-such-word", 0);  // the script itself changes nothing
  config_.execution_policy = ExecutionPolicy::kProvisioned;
  EXPECT_EQ(Describe(RunTenant({"ok"})), "completed");
}

// The file that the script names is the proof that a tenant's program ran: where the init itself
// can see that a wall is missing, it must not.
TEST_F(WallsTest, WithoutAWallNothingOfATenantsRuns) {
  ASSERT_TRUE(isolation_->Ensure().ok);
  LoseWalls("--seccomp", 1);
  config_.runner_timeout_seconds = 1;
  // Its program would run until the wall clock.
  EXPECT_EQ(Describe(RunTenant({"stubborn"})),
            "sandbox_unavailable: sandbox unavailable: layer seccomp is not in force in the unit's "
            "own sandbox");
}

TEST_F(WallsTest, AnOldBubblewrapIsNamed) {
  host_->bubblewrap = folder_.Write(
      "old", "#!/bin/sh\necho 'bwrap: Unknown option --ro-bind-fd' >&2\nexit 1\n", 0755);
  EXPECT_THAT(Describe(RunTenant({"ok"})),
              StartsWith("sandbox_unavailable: sandbox unavailable: layer bubblewrap is not in "
                         "force: the sandbox could not be built: bwrap: Unknown option"));
  ASSERT_TRUE(isolation_->Last().has_value());
  EXPECT_THAT(isolation_->Last()->layers[0].remedy, HasSubstr("too old"));
}

// Landlock, seen by what it denies where the mounts alone would not.
TEST_F(WallsTest, LandlockIsTheSecondWall) {
  AUSPEX_SKIP_UNLESS(unit_init::LandlockAbi() > 0, "a kernel with Landlock");
  const BuiltPackage shell = BuildPackage(
      {"/bin/sh", "-c",
       "a() { if \"$@\" >/dev/null 2>&1; then echo -n yes; else echo -n no; fi; }\n"
       "echo \"{\\\"payload\\\":{\\\"root\\\":\\\"$(a ls /)\\\",\\\"usr\\\":\\\"$(a ls /usr)\\\","
       "\\\"init\\\":\\\"$(a cat /run/auspex/unit-init)\\\",\\\"null\\\":\\\"$(a sh -c 'echo x "
       ">/dev/null')\\\",\\\"ptmx\\\":\\\"$(a sh -c ': <>/dev/ptmx')\\\",\\\"signal\\\":\\\"$(a "
       "kill -0 1)\\\",\\\"scratch\\\":\\\"$(a sh -c 'echo x >/unit/tmp/y && mv /unit/tmp/y "
       "/unit/z')\\\"}}\" > /unit/output.json"},
      {{"x", "x"}});
  for (const TarMember& member : shell.members)
    folder_.Write(Cat("staged/", shell.sha256, "/", member.path), member.content);
  const JsonValue found = PayloadOf(Run(MakeUnit(shell.sha256)));
  EXPECT_EQ(TextOf(found, "root"), "no");
  EXPECT_EQ(TextOf(found, "init"), "no");
  EXPECT_EQ(TextOf(found, "ptmx"), "no");
  EXPECT_EQ(TextOf(found, "usr"), "yes");
  EXPECT_EQ(TextOf(found, "null"), "yes");
  EXPECT_EQ(TextOf(found, "scratch"), "yes");
  // From the sixth interface on, signals do not cross the border either.
  EXPECT_EQ(TextOf(found, "signal"), unit_init::LandlockAbi() >= 6 ? "no" : "yes");
}

TEST_F(WallsTest, WhatIsShownIsCheckedThroughItsDescriptor) {
  const auto why = [](const ShownPlace& place) {
    const auto opened = OpenPlaces({place}, {});
    return opened.ok() ? std::string("shown") : std::string(opened.status().message());
  };
  const auto folder = [](std::string path) {
    return ShownPlace{std::move(path), "/x", ShownPlace::Kind::kFolder, "a test"};
  };
  folder_.Write("open/file", "x");
  const std::string open_folder = Cat(folder_.path(), "/open");
  EXPECT_EQ(why(folder(open_folder)), "shown");
  ASSERT_EQ(chmod(open_folder.c_str(), 0757), 0);
  EXPECT_THAT(why(folder(open_folder)), HasSubstr("everybody may write to it"));
  EXPECT_THAT(why(folder(Cat(open_folder, "/file"))), HasSubstr("it is no folder"));
  ASSERT_EQ(symlink("/usr", Cat(folder_.path(), "/link").c_str()), 0);
  EXPECT_THAT(why(folder(Cat(folder_.path(), "/link"))), HasSubstr("it is no folder"));
  EXPECT_THAT(why(folder("/no-such-folder")), HasSubstr("/no-such-folder"));
  ASSERT_EQ(chmod(open_folder.c_str(), 0755), 0);
  AUSPEX_SKIP_UNLESS(geteuid() == 0, "root, to give a folder to somebody else");
  ASSERT_EQ(chown(open_folder.c_str(), 12345, 12345), 0);
  EXPECT_THAT(why(folder(open_folder)), HasSubstr("belongs to user 12345"));
}

// In a user namespace all users but one look the same: only what was seen to be root's before counts
// as root's.
TEST_F(WallsTest, AUserWhoIsNotMappedDoesNotPassForRoot) {
  AUSPEX_SKIP_UNLESS(geteuid() == 0, "root, to give a folder to somebody else");
  folder_.Write("others/file", "x");
  const std::string others = Cat(folder_.path(), "/others");
  ASSERT_EQ(chmod(folder_.path().c_str(), 0755), 0);
  ASSERT_EQ(chown(others.c_str(), 12345, 12345), 0);
  ASSERT_TRUE(host_->of_root.size() > 1) << "this test runs where all users are mapped";
  const pid_t child = fork();
  if (child == 0) {
    if (setgid(4321) != 0 || setuid(4321) != 0) _exit(10);
    const std::string map = Cat(geteuid(), " ", geteuid(), " 1");
    prctl(PR_SET_DUMPABLE, 1);  // else its own files in /proc are root's
    if (unshare(CLONE_NEWUSER) != 0) _exit(77);
    // As a view maps its own user and nobody else.
    const UniqueFd file(open("/proc/self/uid_map", O_WRONLY));
    if (write(file.get(), map.data(), map.size()) != static_cast<ssize_t>(map.size())) _exit(11);
    const auto shown = [](const std::string& path, const FileIdentities& of_root) {
      return OpenPlaces({{path, "/x", ShownPlace::Kind::kFolder, "a test"}}, of_root).ok();
    };
    if (!shown("/usr", host_->of_root)) _exit(1);
    if (shown("/usr", {})) _exit(2);
    if (shown(others, host_->of_root)) _exit(3);
    _exit(PlacesOfRoot(*host_).empty() ? 0 : 4);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  AUSPEX_SKIP_UNLESS(WEXITSTATUS(status) != 77, "user namespaces for this user");
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// A container's namespace maps a part of all users, its root among them.
TEST_F(WallsTest, RootIsKnownWhereNotAllUsersAreMapped) {
  AUSPEX_SKIP_UNLESS(geteuid() == 0, "root, to map many users");
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd here(ends[0]), there(ends[1]);
  const pid_t child = fork();
  if (child == 0) {
    here.Reset();
    char octet = 'x';
    if (unshare(CLONE_NEWUSER) != 0) _exit(77);
    if (write(there.get(), &octet, 1) != 1 || read(there.get(), &octet, 1) != 1) _exit(10);
    const FileIdentities found = PlacesOfRoot(*host_);
    struct stat usr {};
    if (stat("/usr", &usr) != 0 || usr.st_uid != 0) _exit(11);
    _exit(found.contains({usr.st_dev, usr.st_ino}) ? 0 : 1);
  }
  there.Reset();
  char octet;
  if (read(here.get(), &octet, 1) == 1) {
    std::ofstream(Cat("/proc/", child, "/uid_map")) << "0 0 65534\n";
    EXPECT_EQ(write(here.get(), "x", 1), 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  AUSPEX_SKIP_UNLESS(WEXITSTATUS(status) != 77, "user namespaces for this user");
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(WallsTest, APackageThatOthersMayWriteToIsNotRun) {
  const std::string sha = StageTenant({"ok"});
  const std::string package = Cat(config_.provisioning_dir, "/", sha);
  EXPECT_EQ(Describe(Run(MakeUnit(sha))), "completed");
  const auto with_mode = [&](const std::string& path, mode_t mode) {
    struct stat before {};
    EXPECT_EQ(stat(path.c_str(), &before), 0);
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    std::string said = Describe(Run(MakeUnit(sha)));
    EXPECT_EQ(chmod(path.c_str(), before.st_mode & 07777), 0);
    return said;
  };
  EXPECT_THAT(with_mode(package, 0777),
              AllOf(HasSubstr("executor_refused: staged package: package: its folder may be "
                              "written to by everybody"),
                    HasSubstr("chmod -R go-w")));
  EXPECT_THAT(with_mode(package, 0775), HasSubstr("its folder may be written to by group "));
  EXPECT_THAT(with_mode(package + "/manifest.json", 0666),
              HasSubstr("member 'manifest.json' may be written to by everybody"));
  EXPECT_EQ(Describe(Run(MakeUnit(sha))), "completed");
  AUSPEX_SKIP_UNLESS(geteuid() == 0, "root, to give a file to somebody else");
  ASSERT_EQ(chown((package + "/manifest.json").c_str(), 12345, 12345), 0);
  EXPECT_THAT(Describe(Run(MakeUnit(sha))),
              HasSubstr("member 'manifest.json' belongs to user 12345"));
}

// A filter with two holes: the suite finds both, names them and nothing else.
TEST_F(WallsTest, TheSelfTestNamesWhatIsBroken) {
  SeccompPolicy holed = TenantPolicy();
  holed.allowed.push_back({"holes for this test", {"inotify_init1", "keyctl"}});
  absl::StatusOr<UniqueFd> filter = BuildSeccompFilter(holed);
  ASSERT_TRUE(filter.ok());
  host_->seccomp = *std::move(filter);
  const std::string secret = folder_.Write("secret", "key");
  std::map<std::string, std::string> targets{{"pid", Cat(static_cast<int64_t>(getpid()))}};
  for (const char* name : {"key-folder", "database", "packages", "configuration", "home", "cgroup",
                           "keyd-request", "keyd-result", "keyd-owner", "stated-net", "stated-run",
                           "stated-owner", "netd-owner", "runnerd-owner"}) {
    targets.emplace(name, secret);
  }
  SelfTest self_test(*host_, *thermal_, *isolation_, targets);
  std::set<std::string> broken, names;
  const absl::Status status = self_test.Run([&](const SelfTestRow& row) {
    EXPECT_TRUE(names.insert(std::string(row.name)).second) << row.name << " twice";
    if (row.verdict == "broken") broken.insert(Cat(row.name, ": ", row.seen));
    return true;
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(names.size(), 1 + escape::Attempts().size() + escape::Endings().size());
  EXPECT_THAT(broken, testing::ElementsAre(StartsWith("inotify: worked"), StartsWith("keyctl: ")));
  EXPECT_FALSE(std::filesystem::exists(Cat(folder_.path(), "/self-test"))) << "it left its folder";
  // A caller that goes ends it, a stop does so for good.
  EXPECT_EQ(self_test.Run([](const SelfTestRow&) { return false; }).code(),
            absl::StatusCode::kCancelled);
  self_test.Stop();
  EXPECT_EQ(self_test.Run([](const SelfTestRow&) { return true; }).code(),
            absl::StatusCode::kCancelled);
  host_->escape_probe.clear();
  EXPECT_THAT(std::string(self_test.Run([](const SelfTestRow&) { return true; }).message()),
              HasSubstr("auspex-escape-probe is not installed"));
}

TEST(Remedies, AreInTheWordsOfTheHost) {
  const char* denied = "bwrap: Creating new namespace failed: Operation not permitted";
  const auto says = [&](const HostSettings& host, const char* said) {
    const Remedy remedy = BuildRemedy(said, host);
    return Cat(remedy.layer, ": ", remedy.what_to_do);
  };
  EXPECT_THAT(says({"1", "", "10000", false}, denied), HasSubstr("Ubuntu"));
  EXPECT_THAT(says({"1", "", "10000", false}, denied), StartsWith("user-namespace: "));
  EXPECT_THAT(says({"", "0", "10000", false}, denied),
              HasSubstr("sysctl kernel.unprivileged_userns_clone=1"));
  EXPECT_THAT(says({"", "1", "0", false}, denied), HasSubstr("user.max_user_namespaces"));
  EXPECT_THAT(says({"", "", "1", true}, denied), HasSubstr("seccomp=unconfined"));
  EXPECT_THAT(says({"", "", "1", true}, "bwrap: Can't mount proc on /newroot/proc"),
              StartsWith("process-namespace: this container masks"));
  EXPECT_THAT(says({"1", "0", "0", true}, "bwrap: Unknown option --ro-bind-fd"),
              StartsWith("bubblewrap: bubblewrap is too old"));
}

}  // namespace
}  // namespace auspex::runnerd
