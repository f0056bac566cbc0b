// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/host_gauges.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <utility>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"

namespace auspex::runnerd {
namespace {

constexpr int64_t kMiB = 1 << 20;
constexpr size_t kMaxFile = 4096;
// It has a number for every interrupt.
constexpr size_t kMaxStat = 4 << 20;
constexpr useconds_t kFirstIntervalMicros = 200'000;

absl::StatusOr<double> Number(std::string_view text, std::string_view what) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value) || value < 0)
    return absl::InternalError(Cat(what, ": has no number where one is expected"));
  return value;
}

}  // namespace

absl::StatusOr<double> ParseFullPressure(std::string_view text) {
  constexpr std::string_view kStart = "full avg10=";
  const size_t at = text.find(kStart);
  if (at == std::string_view::npos)
    return absl::InternalError("/proc/pressure/memory: has no line \"full\"");
  return Number(text.substr(at + kStart.size()), "/proc/pressure/memory");
}

HostGauges::HostGauges(std::string root, std::string state_dir, WorkerMicros worker_micros)
    : proc_(root + "/proc"),
      state_dir_(std::move(state_dir)),
      worker_micros_(std::move(worker_micros)) {}

absl::Status HostGauges::SampleLoad() {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(proc_ + "/stat", kMaxStat));
  ASSIGN_OR_RETURN(const MachineTime machine, ParseMachineTime(text));
  ASSIGN_OR_RETURN(const int64_t worker, worker_micros_());
  load_.Sample(Clock::System().MonotonicMicros(), machine, worker);
  return absl::OkStatus();
}

GovernorReadings HostGauges::Read(const GovernorLimits& limits) {
  GovernorReadings readings;
  if (limits.max_load) {
    readings.others_load = [&]() -> absl::StatusOr<double> {
      RETURN_IF_ERROR(SampleLoad());
      if (!load_.value()) {
        usleep(kFirstIntervalMicros);
        RETURN_IF_ERROR(SampleLoad());
      }
      // A processor came or went just now.
      if (!load_.value()) return absl::InternalError("/proc/stat: changes while it is read");
      return *load_.value();
    }();
  } else {
    load_ = OthersLoad();
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
