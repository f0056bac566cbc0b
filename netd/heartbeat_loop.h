// SPDX-License-Identifier: AGPL-3.0-only
// HeartbeatLoop: tells the coordinator what this worker can do and that it lives (wire
// protocol 5.2, 9.2). A tick never ends the loop. Beats come once an interval; one more comes early
// when the owner paused or the runner came or went, since the coordinator routes by it, and after a
// failure, with a backoff up to the interval. Run belongs to one thread.
#ifndef AUSPEX_NETD_HEARTBEAT_LOOP_H_
#define AUSPEX_NETD_HEARTBEAT_LOOP_H_

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "netd/coordinator.h"
#include "netd/counters.h"
#include "netd/demand_board.h"
#include "netd/stated_client.h"

namespace auspex {

class HeartbeatLoop {
 public:
  struct Options {
    double interval_seconds = 60;
    uint64_t max_ticks = 0;  // 0: no limit. Early beats are not ticks
  };
  // All must outlive the loop.
  HeartbeatLoop(Options options, Coordinator& coordinator, StatedClient& stated, DemandBoard& board,
                Counters& counters)
      : options_(options),
        coordinator_(coordinator),
        stated_(stated),
        board_(board),
        counters_(counters) {}

  // Runs until `stop`. `done` is called once when max_ticks regular ticks are over; early beats go
  // on after it.
  void Run(std::stop_token stop, const std::function<void()>& done);

 private:
  enum class Outcome { kOk, kFailed, kNotReady, kCancelled };
  Outcome Beat(std::stop_token stop, uint32_t& retry_after);
  Outcome Fail(const absl::Status& status, std::stop_token stop);

  const Options options_;
  Coordinator& coordinator_;
  StatedClient& stated_;
  DemandBoard& board_;
  Counters& counters_;
  double not_ready_seconds_ = 0;  // how long keyd has been without the enrolment
};

}  // namespace auspex

#endif  // AUSPEX_NETD_HEARTBEAT_LOOP_H_
