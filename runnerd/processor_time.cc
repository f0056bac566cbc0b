// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/processor_time.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <memory>
#include <vector>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"

namespace auspex::runnerd {
namespace {

constexpr size_t kMaxStat = 4096;
constexpr double kMeanMicros = 10'000'000;

int64_t MicrosOfTicks(uint64_t ticks) {
  static const int64_t per_second = std::max<int64_t>(sysconf(_SC_CLK_TCK), 1);
  return static_cast<int64_t>(ticks) * (1'000'000 / per_second);
}

// The numbers of a line, parted by blanks, at most `count`.
std::vector<uint64_t> Numbers(std::string_view text, size_t count) {
  std::vector<uint64_t> numbers;
  while (numbers.size() < count) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) break;
    numbers.push_back(number);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
  }
  return numbers;
}

std::vector<pid_t> Processes(const std::string& proc) {
  std::vector<pid_t> pids;
  const std::unique_ptr<DIR, int (*)(DIR*)> list(opendir(proc.c_str()), closedir);
  while (list != nullptr) {
    const dirent* entry = readdir(list.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error == std::errc() && end == name.data() + name.size()) pids.push_back(pid);
  }
  return pids;
}

struct Stat {
  pid_t parent = 0;
  int64_t own_micros = 0, waited_micros = 0;
};

// "12 (any (name)) R 1 ...": a name may hold anything, so what follows its last parenthesis counts.
std::optional<Stat> ReadStat(const std::string& proc, pid_t pid) {
  const absl::StatusOr<std::string> text = ReadFile(Cat(proc, "/", pid, "/stat"), kMaxStat);
  if (!text.ok()) return std::nullopt;  // it has ended meanwhile
  const size_t at = text->rfind(')');
  if (at == std::string::npos || at + 4 >= text->size()) return std::nullopt;
  // Field 4 is the parent. The terminal's process group, field 8, may be -1.
  const std::string_view rest = std::string_view(*text).substr(at + 4);
  std::vector<std::string_view> fields;
  for (size_t begin = 0; begin < rest.size() && fields.size() < 14;) {
    const size_t end = std::min(rest.find(' ', begin), rest.size());
    fields.push_back(rest.substr(begin, end - begin));
    begin = end + 1;
  }
  if (fields.size() < 14) return std::nullopt;
  const auto number = [&fields](size_t field) {
    uint64_t value = 0;
    const std::string_view word = fields[field - 4];
    std::from_chars(word.data(), word.data() + word.size(), value);
    return value;
  };
  return Stat{static_cast<pid_t>(number(4)), MicrosOfTicks(number(14) + number(15)),
              MicrosOfTicks(number(16) + number(17))};
}

}  // namespace

absl::StatusOr<MachineTime> ParseMachineTime(std::string_view stat) {
  // "cpu user nice system idle iowait irq softirq steal ...", then a line "cpu<n>" for each that is
  // on.
  constexpr size_t kIdle = 3, kWaiting = 4, kLent = 7;
  MachineTime machine;
  std::vector<uint64_t> all;
  while (!stat.empty()) {
    const std::string_view line = stat.substr(0, stat.find('\n'));
    stat.remove_prefix(std::min(line.size() + 1, stat.size()));
    if (line.starts_with("cpu ")) {
      all = Numbers(line.substr(4), kLent + 1);
    } else if (line.starts_with("cpu")) {
      ++machine.processors;
    }
  }
  if (all.size() <= kLent || machine.processors == 0)
    return absl::InternalError("/proc/stat: has no times of processors");
  machine.idle_micros = MicrosOfTicks(all[kIdle] + all[kWaiting] + all[kLent]);
  return machine;
}

absl::StatusOr<int64_t> ProcessMicros(const std::string& proc, pid_t pid) {
  const std::optional<Stat> stat = ReadStat(proc, pid);
  if (!stat) return absl::NotFoundError(Cat(proc, ": does not show process ", pid));
  return stat->own_micros;
}

absl::StatusOr<int64_t> TreeMicros(const std::string& proc, pid_t ancestor) {
  std::multimap<pid_t, pid_t> children;
  std::map<pid_t, int64_t> micros;
  for (const pid_t pid : Processes(proc)) {
    const std::optional<Stat> stat = ReadStat(proc, pid);
    if (!stat) continue;
    children.emplace(stat->parent, pid);
    micros[pid] = stat->own_micros + stat->waited_micros;
  }
  if (!micros.contains(ancestor))
    return absl::NotFoundError(Cat(proc, ": does not show process ", ancestor));
  int64_t sum = micros[ancestor];
  std::vector<pid_t> open{ancestor};
  // Process numbers may be used again while this reads, so a ring is thinkable: each once.
  while (!open.empty()) {
    const auto [from, to] = children.equal_range(open.back());
    open.pop_back();
    for (auto child = from; child != to; ++child) {
      open.push_back(child->second);
      sum += micros[child->second];
    }
    children.erase(from, to);
  }
  return sum;
}

void OthersLoad::Sample(int64_t now, const MachineTime& machine, int64_t worker) {
  const std::optional<Point> before = std::exchange(last_, Point{now, machine, worker});
  if (!before || now <= before->at || machine.processors != before->machine.processors) return;
  const int64_t elapsed = now - before->at, whole = elapsed * machine.processors;
  const int64_t idle =
      std::clamp<int64_t>(machine.idle_micros - before->machine.idle_micros, 0, whole);
  // Without cgroups a unit that was killed takes the time of its tree with it.
  const int64_t own = std::max<int64_t>(worker - before->worker, 0);
  const double others = static_cast<double>(whole - idle - own) / static_cast<double>(elapsed);
  const double kept = mean_ ? std::exp(-static_cast<double>(elapsed) / kMeanMicros) : 0;
  mean_ = mean_.value_or(0) * kept + others * (1 - kept);
}

std::optional<double> OthersLoad::value() const {
  if (!mean_) return std::nullopt;
  return std::max(0.0, *mean_);
}

}  // namespace auspex::runnerd
