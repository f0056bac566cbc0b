// SPDX-License-Identifier: AGPL-3.0-only
// SleepUnlessStopped: a sleep that a stop token ends at once. Any thread.
#ifndef AUSPEX_NETD_SLEEP_H_
#define AUSPEX_NETD_SLEEP_H_

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>

namespace auspex {

// Sleeps `seconds`; false when `stop` was triggered.
inline bool SleepUnlessStopped(std::stop_token stop, double seconds) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, std::chrono::duration<double>(seconds), [] { return false; });
  return !stop.stop_requested();
}

}  // namespace auspex

#endif  // AUSPEX_NETD_SLEEP_H_
