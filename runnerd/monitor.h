// SPDX-License-Identifier: AGPL-3.0-only
// Monitor: the thread that tells stated about this machine: its capabilities, looked at every 5 s,
// and its condition (whether units may run), both when they changed and at least every 15 s. Public
// methods are safe from any thread.
#ifndef AUSPEX_RUNNERD_MONITOR_H_
#define AUSPEX_RUNNERD_MONITOR_H_

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "runnerd/condition.h"
#include "runnerd/thermal.h"

namespace auspex::runnerd {

class Monitor {
 public:
  struct Parts {
    ThermalGovernor& thermal;  // lent
    std::function<absl::StatusOr<Config>()> load_config;
    std::function<absl::Status(const std::string& canonical_json)> report;  // to stated
    std::function<Condition(const Config&)> condition;                      // as of now
    std::function<absl::Status(const Condition&)> report_condition;         // to stated
    std::string host_root;                                                  // see MeasureHost
    std::string worker_version;
  };
  explicit Monitor(Parts parts) : parts_(std::move(parts)) {}
  ~Monitor();

  void Start();
  void Stop();
  // Reports soon, whatever was reported before: stated is new or was away.
  void ReportAgain();
  // Looks soon: the condition may have changed.
  void LookAgain();

 private:
  void Watch();
  Config ConfigNow() const;
  void TellCapabilities(const Config& config, bool again);
  void TellCondition(Condition condition, bool again);

  const Parts parts_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false, again_ = false, look_ = false;
  // The thread's own: what stated has been told, and when.
  std::string told_capabilities_;
  std::optional<Condition> told_condition_;
  std::chrono::steady_clock::time_point capabilities_at_{}, condition_at_{};
  std::thread thread_;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_MONITOR_H_
