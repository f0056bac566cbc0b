// SPDX-License-Identifier: AGPL-3.0-only
// GovernorLoop: the thread that looks at the machine every second, and at once when the kernel rings
// about memory, and hands the governor's verdict to who acts on it. Public methods are safe from any
// thread.
#ifndef AUSPEX_RUNNERD_GOVERNOR_LOOP_H_
#define AUSPEX_RUNNERD_GOVERNOR_LOOP_H_

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"
#include "common/config/config.h"
#include "runnerd/governor.h"
#include "runnerd/host_gauges.h"
#include "runnerd/thermal.h"

namespace auspex::runnerd {

class GovernorLoop {
 public:
  struct Parts {
    ThermalGovernor& thermal;  // lent
    std::function<absl::StatusOr<Config>()> load_config;
    // Called from the loop's thread after every look, with the settings that it was made by.
    std::function<void(const Verdict& verdict, const Config& config)> act;
    std::string host_root;                   // put before /proc; "" for the real one
    std::string state_dir;                   // whose free disk counts
    HostGauges::WorkerMicros worker_micros;  // called from the loop's thread
  };
  explicit GovernorLoop(Parts parts);
  ~GovernorLoop();

  // The first look has been acted on when it returns.
  void Start();
  void Stop();
  // The verdict of the last look.
  Verdict Last() const;

 private:
  void Watch();
  void LookAndAct(bool rang);
  Verdict Look(bool rang);
  void SayWhetherLoadCanBe(const GovernorLimits& limits);
  void Tell(const Verdict& verdict);

  const Parts parts_;
  const UniqueFd stop_;
  Governor governor_;
  HostGauges gauges_;
  Config config_;                        // as last read; what cannot be read changes nothing
  std::optional<double> told_max_load_;  // that more is asked for than there are processors
  std::unique_ptr<PressureAlarm> alarm_;
  int64_t rang_at_ = 0, warmth_at_ = 0;
  std::string unreadable_;  // what could not be read at the last look, so that it is told once
  mutable std::mutex mutex_;
  Verdict last_;
  std::thread thread_;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_GOVERNOR_LOOP_H_
