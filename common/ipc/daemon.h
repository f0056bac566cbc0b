// SPDX-License-Identifier: AGPL-3.0-only
// What the main of every daemon does the same way: flags, log, config, one instance, signals, readiness.
//
//   int main(int argc, char** argv) {
//     absl::StatusOr<Daemon> daemon = Daemon::Init("keyd", argc, argv);      // before any thread is made
//     ... build, serve ...
//     daemon->NotifyReady();
//     daemon->WaitForStop();                                                // SIGTERM, SIGINT, or RequestStop
//   }
//
// Flags: --home DIR, --system, --config FILE, --verbose, and what `extra` declares. Exit codes of daemons: 0 clean stop, 1 failure at
// work, 2 refused to start (configuration, identity, isolation).
#ifndef AUSPEX_COMMON_IPC_DAEMON_H_
#define AUSPEX_COMMON_IPC_DAEMON_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "common/ipc/peer.h"
#include "common/paths/layout.h"

namespace auspex {

class Daemon {
 public:
  // One flag of a daemon's own: "--max-ticks" with a value, or a switch.
  struct Flag {
    std::string name;
    bool takes_value = true;
    std::string help;
  };
  // Parses flags (prints --help / --version and exits 0; usage error exits 2), inits the log, resolves layout, loads the configuration, makes
  // the daemon's state and run folders, takes the instance lock (waits 10 s for a predecessor to end), ignores SIGPIPE, blocks SIGTERM and SIGINT for all later threads.
  // In system mode the run folder, its sockets and the lock are the service manager's: FAILED_PRECONDITION when it passed no socket.
  static absl::StatusOr<Daemon> Init(std::string_view name, int argc, char** argv,
                                     std::vector<Flag> extra = {});
  Daemon(Daemon&&) noexcept;
  Daemon& operator=(Daemon&&) noexcept;
  ~Daemon();

  const Layout& layout() const;
  const Config& config() const;
  const std::string& state_dir() const;
  // Value of an extra flag; empty when not given. A switch that was given has the value "1".
  std::string flag(std::string_view name) const;
  // "owner", "peer daemon name": who may open a role socket in the present mode. In user and home mode the own uid; in system mode the
  // user auspex-<peer> (netd, runnerd), or for "cli" root and the members of group auspex, as the user database was at Init.
  PeerRule AllowFor(std::string_view peer) const;

  // Tells systemd (NOTIFY_SOCKET), and on the descriptor named by AUSPEX_READY_FD (the supervisor), that the daemon serves.
  void NotifyReady();
  // Blocks until SIGTERM, SIGINT or RequestStop. Returns the signal number or 0. Meanwhile it feeds the systemd watchdog, if there is one, and
  // tells systemd what `status_text` (one line, at most 200 octets; asked for on this thread every 5 s at most) says when that changes.
  int WaitForStop(const std::function<std::string()>& status_text = nullptr);
  // For a daemon that ends because of what may pass, such as a full disk: under systemd, tells `cause` and waits 10 s or for SIGTERM, so that
  // the tries are as far apart as the supervisor makes them, although every peer that connects would start the daemon at once.
  void PauseBeforeRetry(std::string_view cause);
  // Makes WaitForStop return; from any thread.
  void RequestStop();

 private:
  struct State;
  explicit Daemon(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_IPC_DAEMON_H_
