// SPDX-License-Identifier: AGPL-3.0-only
// HostGauges: the readings that the Governor judges by, from /proc and statvfs; and PressureAlarm,
// which the kernel rings within a second of a stall that is over the bound. One thread.
#ifndef AUSPEX_RUNNERD_HOST_GAUGES_H_
#define AUSPEX_RUNNERD_HOST_GAUGES_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"
#include "runnerd/governor.h"

namespace auspex::runnerd {

// The load average of one minute in /proc/loadavg's text.
absl::StatusOr<double> ParseLoadAverage(std::string_view text);
// avg10 of the line "full" of a file below /proc/pressure: percent.
absl::StatusOr<double> ParseFullPressure(std::string_view text);
// How many threads of the processes below `ancestor` run or wait for a disk: what the kernel counts
// into the load average. `proc` is where /proc is.
absl::StatusOr<int> CountLoadingThreads(const std::string& proc, pid_t ancestor);

// The part of a load average of one minute that units make: the kernel's own sum, an exponential
// mean over 60 s, over the number of their threads that load the machine. The first sample counts
// as if it had always been so.
class UnitsLoad {
 public:
  void Sample(int threads, int64_t now_micros);
  double value() const { return mean_.value_or(0); }
  void Reset() { mean_.reset(); }

 private:
  std::optional<double> mean_;
  int64_t sampled_at_ = 0;
};

class HostGauges {
 public:
  // `root` is put before /proc ("" for the real one); free disk is that of `state_dir`. Processes
  // below `runner` are units'.
  HostGauges(std::string root, std::string state_dir, pid_t runner);

  // Reads what `limits` look at; the temperature is the caller's. `now_micros` is monotonic.
  GovernorReadings Read(const GovernorLimits& limits, int64_t now_micros);

 private:
  const std::string proc_, state_dir_;
  const pid_t runner_;
  UnitsLoad units_;
};

class PressureAlarm {
 public:
  // Asks the kernel to ring when everything waited for memory for `percent` of ten seconds. Kernels
  // before 6.5 ask a privilege for it, others have no PSI: then fd() is -1 and looking has to do.
  PressureAlarm(const std::string& root, double percent);
  // poll(2) it for POLLPRI.
  int fd() const { return fd_.get(); }
  double percent() const { return percent_; }

 private:
  UniqueFd fd_;
  const double percent_;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_HOST_GAUGES_H_
