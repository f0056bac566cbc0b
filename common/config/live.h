// SPDX-License-Identifier: AGPL-3.0-only
// LiveConfig: settings that are read again while a daemon runs. Editors write a file in more than one step, and a file that is empty or away
// for a moment, or ends early, says something else than its owner: that a tenant may run, or that none may. So what has changed is taken
// once it has stood unchanged for a while. Any thread.
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
  // What a file must stand unchanged for.
  static constexpr std::chrono::milliseconds kSettles{100};

  // Takes the files as they are now.
  LiveConfig(Layout layout, Environment env, std::chrono::milliseconds settles = kSettles);

  // LoadConfig's answer for what the files say now. After a change it waits for `settles`, and for as long again while they go on changing,
  // at most ten times: a file that never stands still is taken as it is then.
  absl::StatusOr<Config> Load();

 private:
  const Layout layout_;
  const Environment env_;
  const std::chrono::milliseconds settles_;
  std::mutex mutex_;
  std::vector<absl::StatusOr<std::string>> texts_;
  absl::StatusOr<Config> config_;
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_CONFIG_LIVE_H_
