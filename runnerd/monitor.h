// SPDX-License-Identifier: AGPL-3.0-only
// Monitor: the thread that looks at the host every 5 s: ends units when it gets too hot, and
// reports capabilities when they changed and at least every 15 s. Public methods are safe from any
// thread.
#ifndef AUSPEX_RUNNERD_MONITOR_H_
#define AUSPEX_RUNNERD_MONITOR_H_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "runnerd/thermal.h"

namespace auspex::runnerd {

class Monitor {
 public:
  struct Parts {
    ThermalGovernor& thermal;  // lent
    std::function<absl::StatusOr<Config>()> load_config;
    std::function<absl::Status(const std::string& canonical_json)> report;  // to stated
    std::function<void()> overheated;                                       // ends what runs
    std::string host_root;                                                  // see MeasureHost
    std::string worker_version;
  };
  explicit Monitor(Parts parts) : parts_(std::move(parts)) {}
  ~Monitor();

  void Start();
  void Stop();
  // Reports soon, whatever was reported before: stated is new or was away.
  void ReportAgain();

 private:
  void Watch();

  const Parts parts_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false, again_ = false;
  std::thread thread_;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_MONITOR_H_
