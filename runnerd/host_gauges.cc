// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/host_gauges.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"

namespace auspex::runnerd {
namespace {

constexpr int64_t kMiB = 1 << 20;
constexpr size_t kMaxFile = 4096;

absl::StatusOr<double> Number(std::string_view text, std::string_view what) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value) || value < 0)
    return absl::InternalError(Cat(what, ": has no number where one is expected"));
  return value;
}

// The numbers that name folders of `folder`: processes, or threads.
std::vector<pid_t> Numbers(const std::string& folder) {
  std::vector<pid_t> numbers;
  const std::unique_ptr<DIR, int (*)(DIR*)> list(opendir(folder.c_str()), closedir);
  while (list != nullptr) {
    const dirent* entry = readdir(list.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    pid_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc() && end == name.data() + name.size()) numbers.push_back(number);
  }
  return numbers;
}

struct Stat {
  char state = '?';
  pid_t parent = 0;
};

// "12 (any (name)) R 1 ...": a name may hold anything, so what follows its last parenthesis counts.
std::optional<Stat> ReadStat(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path, kMaxFile);
  if (!text.ok()) return std::nullopt;  // it has ended meanwhile
  const size_t at = text->rfind(')');
  if (at == std::string::npos || at + 4 >= text->size()) return std::nullopt;
  Stat stat;
  stat.state = (*text)[at + 2];
  const char* begin = text->data() + at + 4;
  if (std::from_chars(begin, text->data() + text->size(), stat.parent).ec != std::errc())
    return std::nullopt;
  return stat;
}

}  // namespace

absl::StatusOr<double> ParseLoadAverage(std::string_view text) {
  return Number(text, "/proc/loadavg");
}

absl::StatusOr<double> ParseFullPressure(std::string_view text) {
  constexpr std::string_view kStart = "full avg10=";
  const size_t at = text.find(kStart);
  if (at == std::string_view::npos)
    return absl::InternalError("/proc/pressure/memory: has no line \"full\"");
  return Number(text.substr(at + kStart.size()), "/proc/pressure/memory");
}

absl::StatusOr<int> CountLoadingThreads(const std::string& proc, pid_t ancestor) {
  const std::vector<pid_t> pids = Numbers(proc);
  if (pids.empty()) return absl::InternalError(Cat(proc, ": shows no processes"));
  std::multimap<pid_t, pid_t> children;
  for (const pid_t pid : pids) {
    if (const auto stat = ReadStat(Cat(proc, "/", pid, "/stat")))
      children.emplace(stat->parent, pid);
  }
  int loading = 0;
  std::vector<pid_t> open{ancestor};
  // Process numbers may be used again while this reads, so a ring is thinkable: each once.
  while (!open.empty() && !children.empty()) {
    const pid_t parent = open.back();
    open.pop_back();
    const auto [from, to] = children.equal_range(parent);
    for (auto child = from; child != to; ++child) {
      open.push_back(child->second);
      const std::string tasks = Cat(proc, "/", child->second, "/task");
      for (const pid_t thread : Numbers(tasks)) {
        const auto stat = ReadStat(Cat(tasks, "/", thread, "/stat"));
        if (stat && (stat->state == 'R' || stat->state == 'D')) ++loading;
      }
    }
    children.erase(from, to);
  }
  return loading;
}

void UnitsLoad::Sample(int threads, int64_t now_micros) {
  if (!mean_) {
    mean_ = threads;
  } else {
    const double seconds =
        static_cast<double>(std::max<int64_t>(now_micros - sampled_at_, 0)) / 1e6;
    const double kept = std::exp(-seconds / 60);
    mean_ = *mean_ * kept + threads * (1 - kept);
  }
  sampled_at_ = now_micros;
}

HostGauges::HostGauges(std::string root, std::string state_dir, pid_t runner)
    : proc_(root + "/proc"), state_dir_(std::move(state_dir)), runner_(runner) {}

GovernorReadings HostGauges::Read(const GovernorLimits& limits, int64_t now_micros) {
  GovernorReadings readings;
  if (limits.max_load) {
    readings.others_load = [&]() -> absl::StatusOr<double> {
      ASSIGN_OR_RETURN(const std::string text, ReadFile(proc_ + "/loadavg", kMaxFile));
      ASSIGN_OR_RETURN(const double load, ParseLoadAverage(text));
      ASSIGN_OR_RETURN(const int threads, CountLoadingThreads(proc_, runner_));
      units_.Sample(threads, now_micros);
      return std::max(0.0, load - units_.value());
    }();
  } else {
    units_.Reset();
  }
  if (limits.max_memory_pressure < 100) {
    readings.memory_pressure = [&]() -> absl::StatusOr<double> {
      ASSIGN_OR_RETURN(const std::string text, ReadFile(proc_ + "/pressure/memory", kMaxFile));
      return ParseFullPressure(text);
    }();
  }
  if (limits.min_free_disk_mb > 0) {
    struct statvfs disk {};
    if (statvfs(state_dir_.c_str(), &disk) == 0) {
      readings.free_disk_mb = static_cast<int64_t>(static_cast<double>(disk.f_bavail) *
                                                   static_cast<double>(disk.f_frsize) / kMiB);
    } else {
      readings.free_disk_mb = ErrnoStatus(errno, "statvfs", "runnerd's state folder");
    }
  }
  return readings;
}

PressureAlarm::PressureAlarm(const std::string& root, double percent) : percent_(percent) {
  constexpr int64_t kWindow = 10'000'000;
  // A bound of 100 means that nobody looks.
  if (percent >= 100) return;
  UniqueFd file(open((root + "/proc/pressure/memory").c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  struct statfs info {};
  // Into no other file: a test's is only to be read.
  if (!file || fstatfs(file.get(), &info) != 0 || info.f_type != PROC_SUPER_MAGIC) return;
  const std::string order =
      Cat("full ", static_cast<int64_t>(percent / 100 * kWindow), " ", kWindow);
  // The kernel wants the NUL octet too.
  if (write(file.get(), order.c_str(), order.size() + 1) != static_cast<ssize_t>(order.size() + 1))
    return;
  fd_ = std::move(file);
}

}  // namespace auspex::runnerd
