// SPDX-License-Identifier: AGPL-3.0-only
// What runnerd's own part of a strict unit costs: units through the pieces of its pipeline (places opened and checked, the input, a
// cgroup where one can be had, the start, the watch, the end) beside bare bubblewrap with the same arguments, started by posix_spawn.
// Both take turns within the same run; medians. Then the rate with two at a time, taking turns too, and the cost of a start from a
// large process. Prints one JSON object.
//
// Usage: bench_unit --bin DIR
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/files/files.h"
#include "runnerd/init/protocol.h"
#include "runnerd/process.h"
#include "runnerd/sandbox_arguments.h"
#include "runnerd/seccomp_filter.h"

namespace auspex::runnerd {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 300, kRateRounds = 5, kSlots = 2, kStarts = 300;
constexpr double kRateSeconds = 2;
constexpr size_t kLargeOctets = 512u << 20;

double Millis(const std::function<void()>& act) {
  const auto from = Clock::now();
  act();
  return std::chrono::duration<double, std::milli>(Clock::now() - from).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

[[noreturn]] void Fail(const std::string& why) {
  std::fprintf(stderr, "bench_unit: %s\n", why.c_str());
  std::exit(1);
}

// A unit of a native executor that does nothing, behind every wall.
SandboxSpec Spec() {
  SandboxSpec spec;
  spec.command = {unit_init::kInitPath, "--run", "1048576", "4096",   "67108864",
                  "4294967296",         "512",   "0",       "131072", "--",
                  "/bin/true"};
  return spec;
}

void Ours(const SandboxHost& host) {
  RunRequest request;
  if (const absl::Status put = PutIntoSandbox(host, Spec(), request); !put.ok())
    Fail(std::string(put.message()));
  const auto input = MemoryFile("{}");
  request.input_fd = input->get();
  request.limits.memory_octets = 4096ull << 20;
  request.limits.processes = 514;
  RunControl control;
  const auto outcome = RunProcessTree(request, control);
  if (!outcome.ok()) Fail(std::string(outcome.status().message()));
  if (outcome->report.find("end exited 0 missing") == std::string::npos)
    Fail("the unit did not run: " + outcome->stderr_tail);
}

// The same command line with the same descriptors, and nothing around it.
void Bare(const SandboxHost& host, RunRequest& request) {
  const auto filter = ReopenFilter(*request.seccomp);
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  std::vector<int> descriptors{null, null, null, filter->get(), null};
  for (const UniqueFd& place : request.shown) descriptors.push_back(place.get());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const int count = static_cast<int>(descriptors.size());
  int away = count;
  for (int fd : descriptors) away = std::max(away, fd + 1);
  for (int i = 0; i < count; ++i)
    posix_spawn_file_actions_adddup2(&actions, descriptors[i], away + i);
  for (int i = 0; i < count; ++i) posix_spawn_file_actions_adddup2(&actions, away + i, i);
  posix_spawn_file_actions_addclosefrom_np(&actions, count);
  std::vector<char*> argv;
  for (std::string& word : request.arguments) argv.push_back(word.data());
  argv.push_back(nullptr);
  char* environment[] = {nullptr};
  pid_t pid = -1;
  int status = 0;
  if (posix_spawn(&pid, host.bubblewrap.c_str(), &actions, nullptr, argv.data(), environment) !=
          0 ||
      waitpid(pid, &status, 0) != pid || status != 0) {
    Fail("bare bubblewrap did not run");
  }
  posix_spawn_file_actions_destroy(&actions);
  close(null);
}

// How many `act` end in the time, with so many threads.
double Rate(int threads, const std::function<void()>& act) {
  std::atomic<long> done = 0;
  std::vector<std::thread> running;
  const auto from = Clock::now();
  const auto end = from + std::chrono::duration<double>(kRateSeconds);
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([&] {
      for (; Clock::now() < end; ++done) act();
    });
  }
  for (std::thread& thread : running) thread.join();
  return static_cast<double>(done) / std::chrono::duration<double>(Clock::now() - from).count();
}

void Start(int cgroup) {
  auto process = Process::Start({"/bin/true"}, {0, 1, 2}, cgroup);
  if (!process.ok()) Fail(std::string(process.status().message()));
  process->Wait();
}

void StartPlain() {
  char program[] = "/bin/true";
  char* argv[] = {program, nullptr};
  char* environment[] = {nullptr};
  pid_t pid = -1;
  if (posix_spawn(&pid, program, nullptr, nullptr, argv, environment) != 0) Fail("posix_spawn");
  waitpid(pid, nullptr, 0);
}

int Main(const std::string& bin) {
  char state[] = "/tmp/auspex-bench-unit-XXXXXX";
  if (mkdtemp(state) == nullptr) Fail("no scratch folder");
  const std::unique_ptr<CgroupTree> cgroups = CgroupTree::Open(state);
  SandboxHost::Options options;
  options.state_dir = state;
  options.program_dir = bin;
  options.cgroups = cgroups.get();
  absl::StatusOr<SandboxHost> host = SandboxHost::Prepare(options);
  if (!host.ok()) Fail(std::string(host.status().message()));
  RunRequest bare;
  if (const absl::Status put = PutIntoSandbox(*host, Spec(), bare); !put.ok())
    Fail(std::string(put.message()));

  for (int i = 0; i < 10; ++i) Ours(*host), Bare(*host, bare);
  std::vector<double> ours, without, alone;
  for (int i = 0; i < kRounds; ++i) {
    host->cgroups = cgroups.get();
    ours.push_back(Millis([&] { Ours(*host); }));
    alone.push_back(Millis([&] { Bare(*host, bare); }));
    host->cgroups = nullptr;
    without.push_back(Millis([&] { Ours(*host); }));
  }
  host->cgroups = cgroups.get();
  std::vector<double> rate, bare_rate;
  for (int i = 0; i < kRateRounds; ++i) {
    rate.push_back(Rate(kSlots, [&] { Ours(*host); }));
    bare_rate.push_back(Rate(kSlots, [&] {
      RunRequest own;
      (void)PutIntoSandbox(*host, Spec(), own);
      Bare(*host, own);
    }));
  }
  // Page tables that a fork would copy.
  std::vector<char> large(kLargeOctets, 1);
  std::vector<double> into, plain;
  {
    std::unique_ptr<UnitCgroup> cgroup;
    if (cgroups->usable()) cgroup = std::make_unique<UnitCgroup>(*cgroups->Make({}));
    for (int i = 0; i < kStarts; ++i) {
      into.push_back(Millis([&] { Start(cgroup == nullptr ? -1 : cgroup->fd()); }));
      plain.push_back(Millis([] { StartPlain(); }));
    }
  }
  std::printf(
      "{\"cgroups\": %s, \"unit_p50_ms\": %.3f, \"unit_without_cgroup_p50_ms\": %.3f, "
      "\"bare_p50_ms\": %.3f, \"ratio\": %.3f,\n"
      " \"units_per_second_2_slots\": %.1f, \"bare_per_second_2_slots\": %.1f,\n"
      " \"start_from_512_MiB_p50_ms\": %.3f, \"posix_spawn_from_512_MiB_p50_ms\": %.3f}\n",
      cgroups->usable() ? "true" : "false", Median(ours), Median(without), Median(alone),
      Median(ours) / Median(alone), Median(rate), Median(bare_rate), Median(into), Median(plain));
  (void)RemoveTree(state);
  return 0;
}

}  // namespace
}  // namespace auspex::runnerd

int main(int argc, char** argv) {
  if (argc != 3 || std::strcmp(argv[1], "--bin") != 0) {
    std::fprintf(stderr, "usage: bench_unit --bin DIR\n");
    return 2;
  }
  return auspex::runnerd::Main(argv[2]);
}
