// SPDX-License-Identifier: AGPL-3.0-only
// Many units in a row leave nothing behind (promise P9): whatever a daemon holds when it is idle
// after the first hundreds is what it holds after all of them. AUSPEX_SOAK_UNITS=10000 for the long
// form; the figures are printed.
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "tests/e2e/fixture.h"

namespace auspex::e2e {
namespace {

namespace fs = std::filesystem;

constexpr int kWarmUp = 400, kDefaultUnits = 1200;
const std::vector<std::string> kDaemons{"keyd", "stated", "netd", "runnerd"};

int UnitsToRun() {
  const char* text = std::getenv("AUSPEX_SOAK_UNITS");
  return text == nullptr ? kDefaultUnits : std::atoi(text);
}

long CountEntries(const std::string& folder) {
  std::error_code error;
  return static_cast<long>(
      std::distance(fs::directory_iterator(folder, error), fs::directory_iterator()));
}

long CountLines(const std::string& path) {
  const std::string text = ReadText(path);
  return static_cast<long>(std::count(text.begin(), text.end(), '\n'));
}

// Where cgroup v2 is mounted; empty: nowhere.
std::string CgroupMount() {
  std::istringstream mounts(ReadText("/proc/self/mounts"));
  std::string mount;
  for (std::string device, place, type, rest; mounts >> device >> place >> type;) {
    std::getline(mounts, rest);
    if (type == "cgroup2") mount = place;
  }
  return mount;
}

// The folders in which runnerds of this host have the cgroups of their units.
std::set<std::string> FoldersOfUnits() {
  std::set<std::string> folders;
  std::error_code error;
  const std::string mount = CgroupMount();
  if (mount.empty()) return folders;
  // A cgroup that goes meanwhile ends the search, which begins again then.
  for (int tries = 0; tries < 100; ++tries) {
    error.clear();
    for (fs::recursive_directory_iterator at(mount, error), end; !error && at != end;
         at.increment(error)) {
      if (at->path().filename().string().starts_with("auspex-units-")) folders.insert(at->path());
    }
    if (!error) return folders;
  }
  ADD_FAILURE() << mount << " cannot be searched: " << error.message();
  return folders;
}

// Cgroups of units in folders that `known` has not: those of the worker that was started since.
long CgroupsOfUnits(const std::set<std::string>& known) {
  long count = 0;
  for (const std::string& folder : FoldersOfUnits()) {
    if (known.contains(folder)) continue;
    std::error_code error;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
      count += at->is_directory(error) && at->path().filename().string().starts_with("unit-");
  }
  return count;
}

struct Folder {
  long files = 0, kib = 0;
};
Folder Measure(const std::string& path) {
  Folder folder;
  std::error_code error;
  for (fs::recursive_directory_iterator at(path, error), end; !error && at != end;
       at.increment(error)) {
    struct stat info {};
    if (::lstat(at->path().c_str(), &info) != 0) continue;
    ++folder.files;
    folder.kib += info.st_blocks / 2;
  }
  return folder;
}

// What is held while nothing runs.
struct Holdings {
  std::map<std::string, long> memory_kib, descriptors, threads, mounts;
  std::map<std::string, Folder> state;
  long host_mounts = 0, processes = 0, cgroups = 0;
};

Holdings Look(const Worker& worker, const std::set<std::string>& known) {
  Holdings holdings;
  for (const std::string& name : kDaemons) {
    const pid_t pid = worker.PidOf(name);
    const std::string process = "/proc/" + std::to_string(pid);
    holdings.memory_kib[name] = AnonymousKib(pid);
    holdings.descriptors[name] = CountEntries(process + "/fd");
    holdings.threads[name] = CountEntries(process + "/task");
    holdings.mounts[name] = CountLines(process + "/mountinfo");
    holdings.state[name] = Measure(worker.home() + "/state/" + name);
  }
  holdings.cgroups = CgroupsOfUnits(known);
  holdings.host_mounts = CountLines("/proc/self/mountinfo");
  holdings.processes = static_cast<long>(ProcessesNaming(worker.home()).size());
  return holdings;
}

void Print(const char* when, const Holdings& holdings) {
  std::printf("%s: processes %ld, mounts %ld, cgroups of units %ld\n", when, holdings.processes,
              holdings.host_mounts, holdings.cgroups);
  for (const std::string& name : kDaemons) {
    std::printf(
        "  %-8s memory %6ld KiB, descriptors %3ld, threads %3ld, mounts %3ld, state %4ld "
        "files %7ld KiB\n",
        name.c_str(), holdings.memory_kib.at(name), holdings.descriptors.at(name),
        holdings.threads.at(name), holdings.mounts.at(name), holdings.state.at(name).files,
        holdings.state.at(name).kib);
  }
  std::fflush(stdout);
}

class SoakTest : public LabTest {
 protected:
  // Runs `count` units of an experiment to the last receipt.
  void RunUnits(Worker& worker, const std::string& label, int count) {
    const Package noop = Pack("noop", label);
    const std::string experiment =
        coordinator_->Submit(noop.manifest, Units(count, label + "-"), 1, noop.archive_base64);
    ASSERT_NE(experiment, "");
    const auto began = std::chrono::steady_clock::now();
    int done = 0, before = -1, stood = 0;
    // As long as something moves: machines differ by a lot.
    while (done < count && stood < 60) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      const Json progress = coordinator_->Progress(experiment);
      done = progress.is_object() ? progress["units"].value("completed", 0) : done;
      stood = done == before ? stood + 1 : 0;
      before = done;
    }
    ASSERT_EQ(done, count) << coordinator_->Progress(experiment);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    std::printf("%d units in %.0f s, %.1f a second\n", count, seconds, count / seconds);
    submitted_ += count;
    ASSERT_TRUE(Eventually(120, [&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      const Json status = worker.VerbJson({"status"});
      return status.is_object() && status["receipts"]["verified"] == submitted_ &&
             status["outbox"]["results"] == 0 && status["units"]["running"] == 0;
    })) << worker.Verb({"status"}).out;
    // gRPC lets threads go that had nothing to do for a while.
    std::this_thread::sleep_for(std::chrono::seconds(3));
  }
  int submitted_ = 0;
};

TEST_F(SoakTest, ManyUnitsLeaveNothingBehind) {
  const int units = UnitsToRun();
  ASSERT_GT(units, 0) << "AUSPEX_SOAK_UNITS is no number of units";
  const std::set<std::string> known = FoldersOfUnits();
  Worker& worker = AddWorker();
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  ASSERT_NO_FATAL_FAILURE(RunUnits(worker, "warm-up", kWarmUp));
  const Holdings before = Look(worker, known);
  Print("after the warm-up", before);
  ASSERT_NO_FATAL_FAILURE(RunUnits(worker, "soak", units));
  const Holdings after = Look(worker, known);
  Print("at the end", after);

  EXPECT_EQ(after.processes, before.processes);
  EXPECT_EQ(after.host_mounts, before.host_mounts);
  EXPECT_EQ(after.cgroups, 0);
  for (const std::string& name : kDaemons) {
    EXPECT_EQ(after.mounts.at(name), before.mounts.at(name)) << name;
    // A dozen connections more, kept for the next request, are not a leak; one a unit is.
    EXPECT_LE(after.descriptors.at(name), before.descriptors.at(name) + 12) << name;
    EXPECT_LE(after.threads.at(name), before.threads.at(name) + 6) << name;
    // Caches and arenas fill up once; what is lost with every unit grows with their number.
    EXPECT_LE(after.memory_kib.at(name), before.memory_kib.at(name) + 2048 + units / 8) << name;
  }
  // One package more, in its folder and its file or two; nothing of any unit.
  EXPECT_LE(after.state.at("runnerd").files, before.state.at("runnerd").files + 8);
  EXPECT_LE(after.state.at("runnerd").kib, before.state.at("runnerd").kib + 4096);
  // Rows and records, which are kept, and no file a unit.
  EXPECT_LE(after.state.at("stated").files, before.state.at("stated").files + 2);
  EXPECT_LE(after.state.at("keyd").files, before.state.at("keyd").files + 4);
  EXPECT_LE(after.state.at("stated").kib, before.state.at("stated").kib + 4096 + units * 8L);
  EXPECT_LE(after.state.at("keyd").kib, before.state.at("keyd").kib + 1024 + units * 4L);
  EXPECT_EQ(worker.StopDaemon(), 0);
}

}  // namespace
}  // namespace auspex::e2e
