// SPDX-License-Identifier: AGPL-3.0-only
// LiveConfig: settings that are read again while a daemon runs. Editors write a file in more than one step, and a file that is empty or away
// for a moment, or ends early, says something else than its owner: that a tenant may run, or that none may. So what has changed counts once
// two readings that are `settles` apart agree. Any thread; nobody waits for another.
#ifndef AUSPEX_COMMON_CONFIG_LIVE_H_
#define AUSPEX_COMMON_CONFIG_LIVE_H_

#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "common/paths/layout.h"

namespace auspex {

class LiveConfig {
 public:
  static constexpr std::chrono::milliseconds kSettles{100};

  // Takes the files as they are now.
  LiveConfig(Layout layout, Environment env, std::chrono::milliseconds settles = kSettles);

  // LoadConfig's answer for what the files say now. After a change it waits until that counts, for at most ten times `settles`: files that
  // never stand still are taken as they are then.
  absl::StatusOr<Config> Load();
  // The same without waiting: what counted before, while a change does not count yet.
  absl::StatusOr<Config> Now();

 private:
  using Time = std::chrono::steady_clock::time_point;
  // Reads the files, and takes what they say when it counts, or in any case; whether what counts is what they say.
  bool Look(bool in_any_case);

  const Layout layout_;
  const Environment env_;
  const std::chrono::milliseconds settles_;
  std::mutex mutex_;
  std::vector<absl::StatusOr<std::string>> texts_, changed_;  // what counts, and what was read last
  Time changed_at_;                                           // of the first reading of changed_
  absl::StatusOr<Config> config_;
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_CONFIG_LIVE_H_
