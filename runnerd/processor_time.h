// SPDX-License-Identifier: AGPL-3.0-only
// What the governor's word "load" is about: how many processors other work keeps busy. It is the
// machine's busy time less the worker's own, both counted by the kernel, so that a unit cannot hide
// other work behind itself: what it did not use is not taken off, whenever it runs or sleeps. Nor can
// it pass for other work where cgroups count it. Functions read and keep nothing; any thread.
#ifndef AUSPEX_RUNNERD_PROCESSOR_TIME_H_
#define AUSPEX_RUNNERD_PROCESSOR_TIME_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace auspex::runnerd {

struct MachineTime {
  int processors = 0;  // that are on
  // All processors together, since the start of the machine: without work, waiting for a disk, or
  // lent by the host to another machine. Idle time is what kernels count exactly (busy time is a
  // sample at each tick, which a program can sleep through).
  int64_t idle_micros = 0;
};
// From /proc/stat's text.
absl::StatusOr<MachineTime> ParseMachineTime(std::string_view stat);

// Processor time of a process, and of those below it with what they have waited for: of dead ones
// that nobody waited for nothing is known. `proc` is where /proc is. NOT_FOUND without the process.
absl::StatusOr<int64_t> ProcessMicros(const std::string& proc, pid_t pid);
absl::StatusOr<int64_t> TreeMicros(const std::string& proc, pid_t ancestor);

// The exponential mean over ten seconds of the processors that other work keeps busy. One thread.
class OthersLoad {
 public:
  // `worker_micros`: processor time of this worker so far, as far as it is known: one that is less
  // than before counts as unchanged. Times are monotonic; the first sample is only where the next
  // begins, and so is one after a processor came or went.
  void Sample(int64_t now_micros, const MachineTime& machine, int64_t worker_micros);
  // nullopt before the second sample. The first interval counts as if it had always been so.
  std::optional<double> value() const;

 private:
  struct Point {
    int64_t at;
    MachineTime machine;
    int64_t worker;
  };
  std::optional<Point> last_;
  std::optional<double>
      mean_;  // may be below 0 for a moment: the two counts come one after the other
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_PROCESSOR_TIME_H_
