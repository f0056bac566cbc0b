// SPDX-License-Identifier: AGPL-3.0-only
// Isolation: whether the strict sandbox works on this host, found out once in the background and
// again when asked or some time after a failure. Safe from any thread.
#ifndef AUSPEX_RUNNERD_ISOLATION_H_
#define AUSPEX_RUNNERD_ISOLATION_H_

#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "common/base/clock.h"
#include "runnerd/probe.h"

namespace auspex::runnerd {

class Isolation {
 public:
  // `probe` builds a sandbox and looks; called on any thread, one call at a time.
  Isolation(std::function<ProbeResult()> probe, const Clock& clock = Clock::System());
  ~Isolation();

  // Probes on a thread of its own. Call once.
  void StartInBackground();
  // The last result; probes first when there is none, or when the last one failed more than 30 s
  // ago.
  ProbeResult Ensure();
  // Probes now.
  ProbeResult Refresh();
  // The last result without waiting; nullopt when there is none yet.
  std::optional<ProbeResult> Last() const;

 private:
  ProbeResult RunLocked();

  const std::function<ProbeResult()> probe_;
  const Clock& clock_;
  std::mutex running_;        // held while probing
  mutable std::mutex mutex_;  // guards what follows
  std::optional<ProbeResult> last_;
  int64_t last_at_ = 0;
  std::thread thread_;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_ISOLATION_H_
