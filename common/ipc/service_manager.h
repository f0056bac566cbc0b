// SPDX-License-Identifier: AGPL-3.0-only
// ServiceManager: what a daemon says to the service manager that started it, as sd_notify(3) describes; written here so that keyd needs no
// further library. Without one (no NOTIFY_SOCKET) everything is a no-op. One thread, the daemon's main.
#ifndef AUSPEX_COMMON_IPC_SERVICE_MANAGER_H_
#define AUSPEX_COMMON_IPC_SERVICE_MANAGER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/unique_fd.h"

namespace auspex {

class ServiceManager {
 public:
  ServiceManager() = default;
  // Connects to NOTIFY_SOCKET now: a daemon that has confined itself may no longer see it. WATCHDOG_USEC counts when WATCHDOG_PID is this
  // process or not set.
  static ServiceManager FromEnvironment();

  bool there() const { return fd_.valid(); }
  // Lines of sd_notify(3): "READY=1".
  void Tell(std::string_view lines) const;
  // "STATUS=" with `text` cut to 200 octets and to one line of printable ASCII; nothing when it is what was told last.
  void TellStatus(std::string_view text);

  // How long the main thread may wait before it pings: half of the watchdog's interval, at most 5 s; -1: for ever, there is nothing to tell.
  int PatienceMs() const;
  // Feeds the watchdog, when there is one, and tells the status when it changed.
  void Ping(const std::function<std::string()>& status_text);

 private:
  UniqueFd fd_;
  int64_t watchdog_ms_ = 0;  // 0: none
  std::string told_;
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_IPC_SERVICE_MANAGER_H_
