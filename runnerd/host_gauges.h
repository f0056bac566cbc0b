// SPDX-License-Identifier: AGPL-3.0-only
// HostGauges: the readings that the Governor judges by, from /proc and statvfs; and PressureAlarm,
// which the kernel rings within a second of a stall that is over the bound. One thread.
#ifndef AUSPEX_RUNNERD_HOST_GAUGES_H_
#define AUSPEX_RUNNERD_HOST_GAUGES_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"
#include "runnerd/governor.h"
#include "runnerd/processor_time.h"

namespace auspex::runnerd {

// avg10 of the line "full" of a file below /proc/pressure: percent.
absl::StatusOr<double> ParseFullPressure(std::string_view text);
class HostGauges {
 public:
  // The processor time of this worker so far.
  using WorkerMicros = std::function<absl::StatusOr<int64_t>()>;
  // `root` is put before /proc ("" for the real one); free disk is that of `state_dir`.
  HostGauges(std::string root, std::string state_dir, WorkerMicros worker_micros);

  // Reads what `limits` look at; the temperature is the caller's. The first look at the load takes
  // a fifth of a second, in which it is measured.
  GovernorReadings Read(const GovernorLimits& limits);

 private:
  absl::Status SampleLoad();

  const std::string proc_, state_dir_;
  const WorkerMicros worker_micros_;
  OthersLoad load_;
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
