// SPDX-License-Identifier: AGPL-3.0-only
// DemandBoard: what stated last said about work wanted, for the loops to look at and to wait on.
// One writer (the watcher of stated's stream), any number of readers; safe from any thread.
#ifndef AUSPEX_NETD_DEMAND_BOARD_H_
#define AUSPEX_NETD_DEMAND_BOARD_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>

#include "auspex/stated/v1/stated.pb.h"

namespace auspex {

class DemandBoard {
 public:
  struct View {
    uint64_t sequence = 0;  // grows with every message of stated; 0: none came yet
    bool enrolled = false;
    uint32_t free_slots = 0;  // less the units accepted since that stated has not counted yet
    uint64_t generation = 0;  // any change means: ask at once
    std::string reason;
    uint32_t in_hand = 0;
    uint32_t outbox_unattempted = 0;
    uint64_t capability_epoch = 0;  // grows when the coordinator should hear of changed
                                    // capabilities before it is asked for work
    uint64_t beaten_epoch = 0;      // the epoch that a heartbeat has told, or tried to tell
  };
  using Predicate = std::function<bool(const View&)>;

  void Update(const stated::v1::Demand& demand);
  // stated cannot be reached: no slot is free until it says so again.
  void Disconnected();
  // A unit was accepted; `sequence` is that of the view before the offer was made. Takes a slot off
  // unless stated has spoken since, so that the poller cannot ask for more than there is room for
  // while the news is on its way.
  void CountAccepted(uint64_t sequence);
  // A heartbeat that began when the epoch was `epoch` has ended, well or not.
  void MarkBeaten(uint64_t epoch);

  View Get() const;
  // Waits until `predicate` holds, `seconds` are over (negative: no limit) or `stop` is triggered.
  // True when the predicate holds; `view` (may be null) gets what it was asked with last.
  bool Wait(std::stop_token stop, double seconds, const Predicate& predicate, View* view = nullptr);

 private:
  View ViewLocked() const;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  View state_;  // free_slots as stated said
  uint32_t uncounted_ = 0;
};

}  // namespace auspex

#endif  // AUSPEX_NETD_DEMAND_BOARD_H_
