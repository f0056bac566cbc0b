// SPDX-License-Identifier: AGPL-3.0-only
// The whole worker at work, and an attacker who has read access to the memory of every process of it: the key is in none of them.
// And keyd killed by its own filter in the middle of the work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/e2e/fixture.h"
#include "tests/redteam/attack.h"
#include "tests/support/skip.h"

namespace auspex::redteam {
namespace {

using e2e::Eventually;
using ::testing::HasSubstr;

class Daemons : public e2e::LabTest {};

// Every process below `root`, itself included.
std::set<pid_t> Descendants(pid_t root) {
  std::set<pid_t> found = {root};
  for (bool grown = true; grown;) {
    grown = false;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename().string();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      const pid_t pid = std::stoi(name);
      std::ifstream status(entry.path() / "status");
      for (std::string line; std::getline(status, line);) {
        if (line.rfind("PPid:\t", 0) != 0) continue;
        if (found.contains(std::stoi(line.substr(6)))) grown = found.insert(pid).second || grown;
        break;
      }
    }
  }
  return found;
}

std::string NameOf(pid_t pid) {
  std::string name;
  std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/comm") >> std::ws, name);
  return name;
}

TEST_F(Daemons, NoProcessOfTheWorkerHasTheKeyWhileUnitsFlow) {
  AUSPEX_SKIP_UNLESS(::geteuid() == 0, "root, to read the memory of every process");
  e2e::Worker& worker = AddWorker();
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  const std::string seed = SeedOf(worker.home());
  ASSERT_EQ(seed.size(), 32u);
  const std::vector<Needle> needles = NeedlesOf(seed);
  const e2e::Package package = e2e::Pack("noop", "redteam-memory");
  const std::string experiment =
      coordinator_->Submit(package.manifest, e2e::Units(60), 1, package.archive_base64);
  std::set<std::string> seen;
  for (int round = 0; round < 3; ++round) {
    // Work goes on between two looks.
    ASSERT_TRUE(coordinator_->WaitCompleted(experiment, 5 + 20 * round, 60));
    for (const pid_t pid : Descendants(worker.daemon().pid())) {
      const std::string name = NameOf(pid);
      const auto scan = ScanMemory(pid, needles);
      if (!scan.has_value()) continue;  // a sandbox that ended meanwhile
      seen.insert(name);
      EXPECT_THAT(scan->found, ::testing::IsEmpty()) << name;
    }
  }
  for (const char* daemon : {"auspex-keyd", "auspex-stated", "auspex-netd", "auspex-runnerd"}) {
    // The kernel cuts names at 15 octets.
    EXPECT_TRUE(seen.contains(std::string(daemon).substr(0, 15)) ||
                worker.PidOf(std::string(daemon).substr(7)) > 0)
        << daemon << " was not looked at";
  }
  EXPECT_GE(seen.size(), 4u);
  EXPECT_EQ(worker.StopDaemon(), 0);
}

// A denied call is the end of keyd; who looks at the daemon's words reads why, and the worker goes on with a new keyd.
TEST_F(Daemons, AKeydThatItsFilterKilledIsNamedAndReplaced) {
#if defined(__x86_64__)
  AUSPEX_SKIP_UNLESS(::geteuid() == 0, "root, to make a call inside keyd");
#else
  AUSPEX_SKIP_UNLESS(false, "x86-64, to make a call inside keyd");
#endif
  e2e::Worker& worker = AddWorker();
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  const pid_t before = worker.PidOf("keyd");
  ASSERT_GT(before, 0);
  // Before it serves its filter is not in place, and a call made inside would only spoil its start.
  ASSERT_TRUE(Eventually(20, [&] {
    return e2e::ReadText(worker.log()).find("proc=keyd event=ready") != std::string::npos;
  }));
  // keyd is the supervisor's child: only the call is made here, and its end is seen there.
  StartDeniedCall(before, SYS_prctl, {PR_SET_DUMPABLE, 1});
  ASSERT_TRUE(Eventually(20, [&] {
    const pid_t now = worker.PidOf("keyd");
    return now > 0 && now != before;
  }));
  EXPECT_THAT(e2e::ReadText(worker.log()), HasSubstr("SIGSYS"));
  EXPECT_THAT(e2e::ReadText(worker.log()), HasSubstr("denied system call"));
  const e2e::Package package = e2e::Pack("noop", "redteam-killed");
  const std::string experiment =
      coordinator_->Submit(package.manifest, e2e::Units(3), 1, package.archive_base64);
  EXPECT_TRUE(coordinator_->WaitCompleted(experiment, 3, 60));
  EXPECT_EQ(worker.StopDaemon(), 0);
}

TEST_F(Daemons, DoctorAndStatusSayWhatIsMissing) {
  e2e::Worker& worker = AddWorker();
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  // The daemons run already and may not all serve yet.
  e2e::Json doctor;
  Eventually(20, [&] { return (doctor = worker.VerbJson({"doctor"}, 60)).is_object(); });
  ASSERT_TRUE(doctor.is_object()) << worker.Verb({"doctor"}, 60).out;
  std::set<std::string> names;
  for (const e2e::Json& check : doctor["checks"]) {
    names.insert(check["name"]);
    EXPECT_TRUE(check["state"] == "ok" || !check["remedy"].get<std::string>().empty()) << check;
    if (check["name"] == "hardening" || check["name"] == "journal" || check["name"] == "files" ||
        check["name"] == "programs" || check["name"] == "daemons") {
      EXPECT_EQ(check["state"], "ok") << check;
    }
    if (check["name"] == "separation") {
      EXPECT_EQ(check["state"], "warn");
    }
  }
  for (const char* name :
       {"configuration", "programs", "separation", "daemons", "keyd", "hardening", "key", "journal",
        "stated", "enrolment", "runnerd", "sandbox", "netd", "files", "disk", "clock"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  EXPECT_EQ(worker.VerbJson({"status"})["missing_hardening"], "");
  EXPECT_EQ(worker.StopDaemon(), 0);
}

}  // namespace
}  // namespace auspex::redteam
