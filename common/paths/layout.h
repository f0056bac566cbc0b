// SPDX-License-Identifier: AGPL-3.0-only
// Layout: where one worker's configuration, state and sockets are. Chosen once per process from the command line and the
// environment. Immutable; safe from any thread.
//
//   home mode    --home DIR or AUSPEX_HOME:  DIR/worker.toml            DIR/state/<daemon>/    DIR/data/     DIR/run/<daemon>/
//   user mode    (default)                   XDG_CONFIG_HOME/auspex/    XDG_STATE_HOME/auspex/<daemon>/  XDG_DATA_HOME/auspex/  XDG_RUNTIME_DIR/auspex/<daemon>/
//   system mode  --system                    /etc/auspex/worker.toml    /var/lib/auspex/<daemon>/  /var/lib/auspex/data/  /run/auspex/<daemon>/
//
// In user mode without XDG_RUNTIME_DIR sockets are under <state>/run. AUSPEXAI_WORKER_STATE_DIR and AUSPEXAI_WORKER_DATA_DIR replace
// the state and data folders in user and home mode, as in the existing worker.
#ifndef AUSPEX_COMMON_PATHS_LAYOUT_H_
#define AUSPEX_COMMON_PATHS_LAYOUT_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace auspex {

// Looks an environment variable up; tests pass their own. nullopt: not set.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;
// The process's own environment.
Environment ProcessEnvironment();

class Layout {
 public:
  enum class Mode { kHome, kUser, kSystem };
  struct Choice {
    std::string home;     // --home; empty: AUSPEX_HOME, if set
    bool system = false;  // --system
    std::string config;   // --config FILE; empty: the places of the mode
  };
  // INVALID_ARGUMENT when --home and --system are both given, when no home folder is known, or when a socket path would be longer than
  // the 107 octets that the kernel takes (the message names the path and says to choose a shorter one).
  static absl::StatusOr<Layout> Resolve(const Choice& choice, const Environment& env);

  Mode mode() const { return mode_; }
  // The folder given as home; empty in the other modes.
  const std::string& home() const { return home_; }
  // Files to read, lowest priority first. One that was named by --config must exist; others may be missing.
  const std::vector<std::string>& config_files() const { return config_files_; }
  bool config_is_explicit() const { return config_is_explicit_; }
  // Where setters and the owner write.
  const std::string& owner_config_file() const { return owner_config_file_; }
  // State folder of "keyd", "stated", "netd", "runnerd"; not made here.
  std::string StateDir(std::string_view daemon) const;
  // Data folder: packages staged by the owner, models.
  const std::string& data_dir() const { return data_dir_; }
  // "<run>/<daemon>/<role>.sock", for example Socket("keyd", "request").
  std::string Socket(std::string_view daemon, std::string_view role) const;
  std::string RunDir(std::string_view daemon) const;
  // The flags that give a child process the same layout: {"--home", DIR}, {"--system"}, {"--config", FILE} or nothing.
  std::vector<std::string> Flags() const;

 private:
  Layout() = default;
  Mode mode_ = Mode::kUser;
  std::string home_, state_root_, data_dir_, run_root_, owner_config_file_;
  std::vector<std::string> config_files_;
  bool config_is_explicit_ = false;
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_PATHS_LAYOUT_H_
