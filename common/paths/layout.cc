// SPDX-License-Identifier: AGPL-3.0-only
#include "common/paths/layout.h"

#include <unistd.h>

#include <cstdlib>

#include "common/base/cat.h"

namespace auspex {
namespace {

// sockaddr_un.sun_path holds 108 octets with its NUL.
constexpr size_t kMaxSocketPath = 107;
constexpr std::string_view kLongestSocket = "/runnerd/request.sock";

std::string Absolute(const std::string& path) {
  if (!path.empty() && path[0] == '/') return path;
  char* here = ::getcwd(nullptr, 0);
  std::string out = here == nullptr ? path : Cat(here, "/", path);
  ::free(here);
  return out;
}

std::string WithoutTrailingSlash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string NonEmpty(const Environment& env, std::string_view name) {
  return env(name).value_or("");
}

}  // namespace

Environment ProcessEnvironment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = ::getenv(std::string(name).c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

absl::StatusOr<Layout> Layout::Resolve(const Choice& choice, const Environment& env) {
  if (choice.system && !choice.home.empty()) {
    return absl::InvalidArgumentError("--home and --system exclude each other");
  }
  Layout layout;
  const std::string home =
      choice.system ? "" : (choice.home.empty() ? NonEmpty(env, "AUSPEX_HOME") : choice.home);
  if (choice.system) {
    layout.mode_ = Mode::kSystem;
    layout.state_root_ = "/var/lib/auspex";
    layout.data_dir_ = "/var/lib/auspex/data";
    layout.run_root_ = "/run/auspex";
    layout.owner_config_file_ = "/etc/auspex/worker.toml";
    layout.config_files_ = {layout.owner_config_file_};
  } else if (!home.empty()) {
    layout.mode_ = Mode::kHome;
    layout.home_ = WithoutTrailingSlash(Absolute(home));
    layout.state_root_ = layout.home_ + "/state";
    layout.data_dir_ = layout.home_ + "/data";
    layout.run_root_ = layout.home_ + "/run";
    layout.owner_config_file_ = layout.home_ + "/worker.toml";
    layout.config_files_ = {layout.owner_config_file_};
  } else {
    layout.mode_ = Mode::kUser;
    const std::string user_home = NonEmpty(env, "HOME");
    const auto xdg = [&](std::string_view variable, std::string_view fallback) {
      const std::string value = NonEmpty(env, variable);
      // The XDG base directory specification tells programs to ignore relative paths.
      if (!value.empty() && value[0] == '/') return WithoutTrailingSlash(value);
      return user_home.empty() ? std::string() : Cat(user_home, fallback);
    };
    const std::string config = xdg("XDG_CONFIG_HOME", "/.config");
    const std::string state = xdg("XDG_STATE_HOME", "/.local/state");
    const std::string data = xdg("XDG_DATA_HOME", "/.local/share");
    if (config.empty() || state.empty() || data.empty()) {
      return absl::InvalidArgumentError(
          "no home folder: set HOME or the XDG variables, or pass --home DIR");
    }
    layout.state_root_ = state + "/auspex";
    layout.data_dir_ = data + "/auspex";
    const std::string runtime = NonEmpty(env, "XDG_RUNTIME_DIR");
    layout.run_root_ = !runtime.empty() && runtime[0] == '/'
                           ? WithoutTrailingSlash(runtime) + "/auspex"
                           : layout.state_root_ + "/run";
    layout.owner_config_file_ = config + "/auspex/worker.toml";
    // The existing worker's files come first, so that ours win.
    layout.config_files_ = {"/etc/auspexai-worker/worker.toml", "/etc/auspex/worker.toml",
                            config + "/auspexai-worker/worker.toml", layout.owner_config_file_};
  }
  if (!choice.system) {
    if (const std::string dir = NonEmpty(env, "AUSPEXAI_WORKER_STATE_DIR"); !dir.empty()) {
      layout.state_root_ = WithoutTrailingSlash(Absolute(dir));
    }
    if (const std::string dir = NonEmpty(env, "AUSPEXAI_WORKER_DATA_DIR"); !dir.empty()) {
      layout.data_dir_ = WithoutTrailingSlash(Absolute(dir));
    }
  }
  if (!choice.config.empty()) {
    layout.config_is_explicit_ = true;
    layout.owner_config_file_ = Absolute(choice.config);
    layout.config_files_ = {layout.owner_config_file_};
  }
  if (layout.run_root_.size() + kLongestSocket.size() > kMaxSocketPath) {
    return absl::InvalidArgumentError(
        Cat(layout.run_root_, kLongestSocket, ": is longer than the ", kMaxSocketPath,
            " octets that a Unix socket's path may have; choose a shorter folder"));
  }
  return layout;
}

std::string Layout::StateDir(std::string_view daemon) const {
  return Cat(state_root_, "/", daemon);
}
std::string Layout::RunDir(std::string_view daemon) const { return Cat(run_root_, "/", daemon); }
std::string Layout::Socket(std::string_view daemon, std::string_view role) const {
  return Cat(run_root_, "/", daemon, "/", role, ".sock");
}

std::vector<std::string> Layout::Flags() const {
  std::vector<std::string> flags;
  if (mode_ == Mode::kSystem) flags = {"--system"};
  if (mode_ == Mode::kHome) flags = {"--home", home_};
  if (config_is_explicit_) {
    flags.push_back("--config");
    flags.push_back(owner_config_file_);
  }
  return flags;
}

}  // namespace auspex
