// SPDX-License-Identifier: AGPL-3.0-only
// The escape suite through the production path: a tenant's package holds auspex-escape-probe, a
// coordinator hands out its units, and what came of each attempt is what the worker submits. The
// same program runs outside first, so that each refusal inside is one of the sandbox's.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <sstream>
#include <vector>

#include "common/base/encoding.h"
#include "common/base/unique_fd.h"
#include "common/crypto/sha256.h"
#include "runnerd/escape/table.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/hostile_coordinator.h"
#include "tests/e2e/lab.h"
#include "tests/support/skip.h"

namespace auspex::e2e {
namespace {

using escape::Attempt;
using escape::Control;
using escape::Ending;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Some machines have a first process that not even their root can look into, and then what is tried
// on it outside would be refused there too. This program begins once more where a shell is the first.
[[maybe_unused]] const bool kFirstProcessIsInReach = [] {
  constexpr char kMark[] = "ESCAPE_TEST_HAS_A_FIRST_PROCESS";
  const UniqueFd environment(open("/proc/1/environ", O_RDONLY | O_CLOEXEC));
  if (geteuid() != 0 || environment || getenv(kMark) != nullptr) return environment.valid();
  setenv(kMark, "1", 1);
  std::vector<std::string> words = {"unshare",      "--pid",           "--fork",
                                    "--mount-proc", "--kill-child",    "sh",
                                    "-c",           "\"$@\"; exit $?", "sh"};
  std::istringstream own(ReadText("/proc/self/cmdline"));
  for (std::string word; std::getline(own, word, '\0');) words.push_back(word);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv("/usr/bin/unshare", argv.data());
  return false;
}();

// The package whose executor is the probe.
Package ProbePackage(const std::string& label, const std::string& tenant) {
  TempFolder scratch;
  const std::string folder = scratch / "package";
  EXPECT_EQ(RunCommand({"/bin/mkdir", folder}).code, 0);
  EXPECT_EQ(RunCommand({"/bin/cp", Program("auspex-escape-probe"), folder}).code, 0);
  Json manifest = Json::parse(ReadText(ExamplePackage("noop") + "/manifest.json"), nullptr, false);
  EXPECT_TRUE(manifest.is_object()) << "noop is not staged";
  manifest["tenant_id"] = tenant;
  manifest["experiment_id"] = label;
  manifest["executor"]["command"] = {"./auspex-escape-probe"};
  return PackFolder(folder, manifest);
}

// What the probe says when it runs as an ordinary process of root's, with one variable and one
// descriptor too many.
Json RunOutside(const std::string& folder, const Json& payload) {
  WriteText(folder + "/input.json", Json{{"payload", payload}}.dump());
  const Finished finished =
      RunCommand({"/bin/sh", "-c", "exec 9</dev/null; exec \"$0\" --input \"$1\" --output \"$2\"",
                  Program("auspex-escape-probe"), folder + "/input.json", folder + "/output.json"},
                 60, {{"A_SECRET_OF_THE_HOST", "x"}});
  EXPECT_EQ(finished.code, 0) << finished.err;
  const Json output = Json::parse(ReadText(folder + "/output.json"), nullptr, false);
  return output.is_object() ? output["payload"] : Json();
}

// A cgroup's list of processes that root may write to.
std::string SomeCgroup() {
  for (const char* path : {"/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/pids/cgroup.procs",
                           "/sys/fs/cgroup/memory/cgroup.procs"}) {
    if (access(path, W_OK) == 0) return path;
  }
  return "/sys/fs/cgroup/cgroup.procs";
}

class Escape : public ::testing::Test {
 protected:
  // The executor's wall clock: for the endings that wait for it, and for all other units.
  static constexpr int kWallSeconds = 10, kPatientSeconds = 1000;

  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(worker_.Bootstrap());
    const Package package = ProbePackage("hostile-one", "hostile-lab");
    manifest_ = Sha256HexOf(package.manifest.dump());
    const std::string archive = *Base64Decode(package.archive_base64);
    server_.Attack(
        "package",
        [archive](const HostileCoordinator::Request&, HostileCoordinator::Line& line) {
          line.Answer(200, archive);
        },
        1'000);
    ASSERT_NO_FATAL_FAILURE(worker_.StartDaemon());
    ASSERT_TRUE(Eventually(20, [&] {
      for (const auto& [name, path] : Targets().get<std::map<std::string, std::string>>()) {
        if (path.starts_with("/") && access(path.c_str(), F_OK) != 0) return false;
      }
      return true;
    })) << "the worker did not make what is to be reached for";
    // A listener in the host's abstract namespace, as the login bus is on some hosts.
    listener_.Reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    abstract_ = "auspex-escape-" + std::to_string(getpid());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path + 1, abstract_.data(), abstract_.size());
    ASSERT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + abstract_.size())),
              0);
    ASSERT_EQ(listen(listener_.get(), 8), 0);
  }
  void TearDown() override {
    if (HasFailure()) LabTestTail();
    EXPECT_EQ(worker_.StopDaemon(), 0);
    KillOrphans();
    EXPECT_THAT(ProcessesNaming("auspex-escape-probe"), IsEmpty()) << "left of a unit";
    EXPECT_THAT(server_.Unexpected(), IsEmpty());
  }
  void LabTestTail() const {
    const std::string log = ReadText(worker_.log());
    std::printf("%s\n", log.substr(log.size() > 3000 ? log.size() - 3000 : 0).c_str());
  }

  Json Targets() const {
    const std::string& home = worker_.home();
    Json targets = {{"key-folder", home + "/state/keyd"},
                    {"database", home + "/state/stated/auspex.db"},
                    {"packages", home + "/state/runnerd/packages"},
                    {"configuration", home + "/worker.toml"},
                    {"home", "/root"},
                    {"pid", std::to_string(worker_.PidOf("runnerd"))},
                    {"cgroup", SomeCgroup()},
                    {"abstract", abstract_}};
    for (const auto& [daemon, role] :
         {std::pair("keyd", "request"), std::pair("keyd", "result"), std::pair("keyd", "owner"),
          std::pair("stated", "net"), std::pair("stated", "run"), std::pair("stated", "owner"),
          std::pair("netd", "owner"), std::pair("runnerd", "owner")}) {
      targets[std::string(daemon) + "-" + role] = home + "/run/" + daemon + "/" + role + ".sock";
    }
    return targets;
  }
  // The wall clock of units from the next one on.
  void SetWallClock(int seconds) const {
    const std::string path = worker_.home() + "/worker.toml", key = "runner_timeout_seconds = ";
    std::string text = ReadText(path);
    const size_t at = text.find(key) + key.size();
    text.replace(at, text.find('\n', at) - at, std::to_string(seconds));
    WriteText(path + ".new", text);
    ASSERT_EQ(rename((path + ".new").c_str(), path.c_str()), 0);
  }
  void WaitUntilAnswered(size_t units) const {
    EXPECT_TRUE(Eventually(
        150, [&] { return server_.Results().size() + server_.Refusals().size() >= units; }))
        << server_.Results().size() << " + " << server_.Refusals().size();
  }
  // The payload that the worker submitted for the unit; null after two minutes.
  Json Submitted(const std::string& unit) {
    if (!Eventually(120, [&] {
          return server_.Results().contains(unit) || server_.Refusals().contains(unit);
        })) {
      return Json();
    }
    if (!server_.Results().contains(unit)) {
      ADD_FAILURE() << unit << ": " << server_.Refusals()[unit].front();
      return Json();
    }
    const Json body = Json::parse(server_.Results()[unit].front(), nullptr, false);
    EXPECT_EQ(body.value("ran_under", std::string()), "strict") << body.dump();
    return body.value("payload", Json());
  }
  Json SubmittedTable() {
    SetWallClock(kPatientSeconds);
    server_.Offer("table", {{"attempt", "table"}, {"targets", Targets()}}, 1, manifest_);
    return Submitted("table");
  }

  TempFolder folder_;
  HostileCoordinator server_;
  Worker worker_{
      folder_ / "w",
      {.url = server_.url(),
       .slots = 2,
       .heartbeat_seconds = 0.2,
       .poll_seconds = 0.02,
       .more = "[sandbox]\nmemory_max_mb = 256\npids_max = 64\nrunner_timeout_seconds = " +
               std::to_string(kWallSeconds) + "\n"}};
  std::string manifest_, abstract_;
  UniqueFd listener_;
};

TEST_F(Escape, EveryAttemptFailsInsideAndMeansSomethingOutside) {
  AUSPEX_SKIP_UNLESS(geteuid() == 0, "root, for the run outside of a sandbox");
  Json payload = {{"attempt", "table"}, {"targets", Targets()}};
  payload["targets"]["outside"] = "yes";
  const Json outside = RunOutside(folder_.path(), payload);
  const Json inside = SubmittedTable();
  ASSERT_TRUE(outside.is_object() && inside.is_object());
  EXPECT_EQ(inside.size(), escape::Attempts().size());
  int controlled = 0;
  for (const Attempt& attempt : escape::Attempts()) {
    const std::string name(attempt.name);
    const std::string seen = inside.value(name, "not reported"),
                      control = outside.value(name, "not reported");
    std::printf("%-24s expected %-24s inside %-14s outside %s\n", name.c_str(),
                std::string(attempt.expected).c_str(), seen.c_str(), control.c_str());
    if (!attempt.needs_process_limit) {
      EXPECT_TRUE(escape::Holds(attempt.expected, seen))
          << name << ": " << attempt.what << ": " << seen;
    }
    if (attempt.control == Control::kWorks) {
      EXPECT_EQ(control, "worked")
          << name << ": the attempt cannot succeed, so its failure is no proof";
    } else if (attempt.control == Control::kOther) {
      EXPECT_NE(control, "not reported") << name;
      EXPECT_FALSE(escape::Holds(attempt.expected, control))
          << name << " ends the same way outside: " << control;
    } else {
      continue;
    }
    ++controlled;
  }
  EXPECT_GT(controlled, 120);
}

TEST_F(Escape, ForkAndThreadBombsMeetTheLimitOfProcesses) {
  AUSPEX_SKIP_UNLESS(geteuid() != 0 || access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0,
                     "cgroup v2, or another user than root, whom the kernel exempts");
  const Json inside = SubmittedTable();
  for (const Attempt& attempt : escape::Attempts()) {
    if (!attempt.needs_process_limit) continue;
    const std::string name(attempt.name);
    EXPECT_EQ(inside.value(name, "not reported"), "bounded") << name;
  }
}

TEST_F(Escape, EveryHostileEndingIsRefusedWithItsReason) {
  size_t offered = 0;
  for (const bool meets_clock : {false, true}) {
    SetWallClock(meets_clock ? kWallSeconds : kPatientSeconds);
    for (const Ending& ending : escape::Endings()) {
      if ((ending.expected == escape::kOverTime) != meets_clock) continue;
      server_.Offer(std::string(ending.name), {{"attempt", std::string(ending.name)}}, 1,
                    manifest_);
      ++offered;
    }
    WaitUntilAnswered(offered);
  }
  EXPECT_EQ(offered, escape::Endings().size());
  for (const Ending& ending : escape::Endings()) {
    const std::string name(ending.name);
    SCOPED_TRACE(name + ": " + std::string(ending.what));
    if (ending.expected == "completed") {
      EXPECT_TRUE(server_.Results().contains(name));
      continue;
    }
    ASSERT_TRUE(server_.Refusals().contains(name));
    const Json refusal = Json::parse(server_.Refusals()[name].front(), nullptr, false);
    std::printf("%-24s %s\n", name.c_str(), refusal.value("reason", std::string()).c_str());
    EXPECT_EQ(refusal.value("kind", std::string()), "runner_failed");
    EXPECT_THAT(refusal.value("reason", std::string()), HasSubstr(std::string(ending.expected)));
  }
  SetWallClock(kPatientSeconds);
  // Nothing of it is on the host, and the worker is as well as before.
  for (const char* name : {"escape", "*gpj.txt", "new*line", "-rf *", "nnn*", "$(reboot)"}) {
    EXPECT_THAT(RunCommand({"/usr/bin/find", folder_.path(), "-name", name}).out, IsEmpty());
  }
  server_.Offer("after", {{"attempt", "leave-process"}}, 1, manifest_);
  EXPECT_TRUE(Submitted("after").is_object());
}

// The owner's view of the same table, and of how the sandbox is built.
TEST_F(Escape, TheOwnerCanRunTheSuiteAndSeeTheSandbox) {
  const Json report = worker_.VerbJson({"sandbox", "self-test"}, 120);
  ASSERT_TRUE(report.is_object()) << worker_.Verb({"sandbox", "self-test"}, 120).out;
  EXPECT_EQ(report["ok"], true) << report.dump(1);
  EXPECT_EQ(report["rows"].size(), 1 + escape::Attempts().size() + escape::Endings().size());
  std::map<std::string, std::string> verdicts;
  for (const Json& row : report["rows"]) verdicts[row["name"]] = row["verdict"];
  for (const Attempt& attempt : escape::Attempts()) {
    const std::string& verdict = verdicts[std::string(attempt.name)];
    if (!attempt.needs_process_limit || verdict != "no-limit") {
      EXPECT_EQ(verdict, "held") << attempt.name;
    }
  }
  for (const Ending& ending : escape::Endings())
    EXPECT_EQ(verdicts[std::string(ending.name)], "held") << ending.name;
  EXPECT_THAT(server_.Results(), IsEmpty()) << "something of a self-test was sent";
  EXPECT_THAT(server_.Refusals(), IsEmpty()) << "something of a self-test was sent";

  const Json shown = worker_.VerbJson({"sandbox", "show"});
  ASSERT_TRUE(shown.is_object());
  std::set<std::string> inside, calls, limits;
  for (const Json& place : shown["places"]) {
    inside.insert(place["destination"]);
    EXPECT_FALSE(place["reason"].get<std::string>().empty()) << place;
  }
  EXPECT_THAT(inside, ::testing::IsSupersetOf({"/usr", "/etc", "/package"}));
  for (const Json& group : shown["calls"]) {
    EXPECT_FALSE(group["reason"].get<std::string>().empty()) << group;
    for (const Json& name : group["names"]) calls.insert(name);
  }
  EXPECT_THAT(calls, ::testing::IsSupersetOf({"read", "clone", "socket", "clone3"}));
  for (const Json& limit : shown["limits"])
    limits.insert(limit["name"].get<std::string>() + " " + limit["value"].get<std::string>());
  EXPECT_THAT(limits, ::testing::IsSupersetOf({"memory 256 MiB", "wall clock 10 s"}));
  EXPECT_GT(shown["layers"].size(), 10u);
  for (const Json& layer : shown["layers"])
    EXPECT_EQ(layer["in_force"] == true, layer["remedy"] == "") << layer;
  EXPECT_THAT(shown["gpu_devices"], IsEmpty());
  EXPECT_THAT(worker_.Verb({"sandbox", "show"}).out, HasSubstr("GPU: off"));
}

class Neighbours : public LabTest {};

// Two units of two tenants at once, each leaving marks and looking for the other's.
TEST_F(Neighbours, TwoTenantsSideBySideSeeNothingOfEachOther) {
  Worker& worker = AddWorker({.slots = 2});
  std::vector<std::string> experiments;
  const auto payload = [](const char* own, const char* other) {
    return Json{{"attempt", "neighbour"}, {"own", own}, {"other", other}};
  };
  for (const auto& [own, other] : {std::pair("a", "b"), std::pair("b", "a")}) {
    const Package package =
        ProbePackage(std::string("side-by-side-") + own, std::string("tenant-") + own);
    experiments.push_back(coordinator_->Submit(
        package.manifest,
        {{{"unit_id", std::string("u-") + own}, {"payload", payload(own, other)}}}, 1,
        package.archive_base64));
  }
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  std::vector<Json> found;
  for (const std::string& experiment : experiments) {
    ASSERT_TRUE(coordinator_->WaitCompleted(experiment, 1, 60))
        << coordinator_->Progress(experiment);
    const std::string results = coordinator_->Results(experiment).dump();
    const size_t at = results.find("{\"began\":");
    ASSERT_NE(at, std::string::npos) << results;
    found.push_back(Json::parse(results.substr(at, results.find('}', at) + 1 - at)));
  }
  for (const Json& one : found) {
    EXPECT_EQ(one["seen"], "") << one;
    EXPECT_EQ(one["marked"], true) << one;
  }
  EXPECT_LT(found[0]["began"].get<int64_t>(), found[1]["ended"].get<int64_t>()) << "not at once";
  EXPECT_LT(found[1]["began"].get<int64_t>(), found[0]["ended"].get<int64_t>()) << "not at once";
  EXPECT_EQ(worker.StopDaemon(), 0);
  // The same two outside do see each other.
  TempFolder outside;
  std::vector<Process> pair;
  for (const auto& [own, other] : {std::pair("a", "b"), std::pair("b", "a")}) {
    const std::string input = outside / (std::string("in-") + own);
    WriteText(input, Json{{"payload", payload(own, other)}}.dump());
    pair.emplace_back(Process::Options{{Program("auspex-escape-probe"), "--input", input,
                                        "--output", outside / (std::string("out-") + own)},
                                       {},
                                       outside / "log",
                                       false});
  }
  for (Process& one : pair) EXPECT_EQ(one.Wait(20).value_or(-1), 0);
  for (const char* own : {"a", "b"}) {
    const Json one = Json::parse(ReadText(outside / (std::string("out-") + own)), nullptr, false);
    for (const char* mark : {"file", "socket", "process", "signal"})
      EXPECT_THAT(one["payload"].value("seen", std::string()), HasSubstr(mark)) << own;
  }
}

}  // namespace
}  // namespace auspex::e2e
