// SPDX-License-Identifier: AGPL-3.0-only
// Netd: the daemon's parts put together, and their threads: one for the heartbeat, one for the
// poller, one each that reads stated's demand and outbox, several that send the outbox, and in a
// bounded run one that waits for the end. Holds no file and no secret.
#ifndef AUSPEX_NETD_NETD_H_
#define AUSPEX_NETD_NETD_H_

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "common/http/http_client.h"
#include "common/paths/layout.h"
#include "common/wire/base_url.h"
#include "netd/connection_service.h"
#include "netd/coordinator.h"
#include "netd/counters.h"
#include "netd/demand_board.h"
#include "netd/device_flow.h"
#include "netd/heartbeat_loop.h"
#include "netd/keyd_client.h"
#include "netd/outbox_sender.h"
#include "netd/poll_loop.h"
#include "netd/stated_client.h"

namespace auspex {

class Netd {
 public:
  struct Options {
    BaseUrl base;
    DeviceFlow::Options login;
    std::string ca_file;
    std::string keyd_socket, stated_socket;
    HeartbeatLoop::Options heartbeat;
    PollLoop::Options poll;
    OutboxSender::Options outbox;
    uint64_t max_ticks = 0;  // 0: until stopped
    double drain_seconds =
        660;  // in a bounded run: longest wait for units in hand after the last tick
  };
  // INVALID_ARGUMENT names the key whose value cannot be used.
  static absl::StatusOr<Options> OptionsFrom(const Config& config, const Layout& layout,
                                             uint64_t max_ticks);

  explicit Netd(Options options);
  // Stops and joins.
  ~Netd();
  Netd(const Netd&) = delete;
  Netd& operator=(const Netd&) = delete;

  // Starts the threads. `finished` is called from one of them at the end of a bounded run.
  void Start(std::function<void()> finished);
  // Ends calls, transfers and sleeps at once, but for a poll that may bring work any moment
  // (PollLoop::AwaitAnswer), which is waited for here; Join then waits for the threads.
  void RequestStop();
  void Join();

  ConnectionService& service() { return service_; }
  Counters::Snapshot counters() const { return counters_.Get(); }

 private:
  void WatchDemand();
  void WatchOutbox();
  // Waits until units in hand are finished and every outbox item was tried once.
  void Drain();

  const Options options_;
  std::stop_source stop_, cut_poll_;
  HttpClient http_;
  KeydClient keyd_;
  StatedClient stated_;
  Counters counters_;
  DemandBoard board_;
  Coordinator coordinator_;
  OutboxSender sender_;
  ConnectionService service_;
  HeartbeatLoop heartbeat_;
  PollLoop poll_;
  std::vector<std::jthread> threads_;
};

}  // namespace auspex

#endif  // AUSPEX_NETD_NETD_H_
