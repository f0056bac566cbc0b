// SPDX-License-Identifier: AGPL-3.0-only
// PollLoop: asks for work while stated wants some, and hands what comes to stated (wire
// protocol 5.3, 9.3). A tick never ends the loop (W1).
//
// Between two polls: nothing after an accepted unit or an empty answer of a coordinator that waited
// (long poll); at most a second after a refused unit; the interval otherwise, cut short when a slot
// becomes free; a doubling backoff after failures, at least Retry-After. A unit that stated cannot take for the moment is offered to it
// again for two minutes, and no other is asked for meanwhile. Run belongs to one thread.
#ifndef AUSPEX_NETD_POLL_LOOP_H_
#define AUSPEX_NETD_POLL_LOOP_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "netd/coordinator.h"
#include "netd/counters.h"
#include "netd/demand_board.h"
#include "netd/retry.h"
#include "netd/stated_client.h"

namespace auspex {

class PollLoop {
 public:
  struct Options {
    double interval_seconds = 30;
    int long_poll_seconds = 30;       // 0: never ask the coordinator to wait
    uint64_t max_ticks = 0;           // 0: no limit
    double busy_limit_seconds = 660;  // in a bounded run: how long a tick waits for a free slot
  };
  // All must outlive the loop.
  PollLoop(Options options, Coordinator& coordinator, StatedClient& stated, DemandBoard& board,
           Counters& counters);

  // Runs until `stop`, or until max_ticks ticks are over. `stop` lets a poll that is under way come
  // to its end, and what it brings reach stated; `cut` ends that too.
  void Run(std::stop_token stop, std::stop_token cut);

  // For who stops, between the two, from any thread: waits while a poll is under way that may bring
  // work any moment, or has brought it and stated is being told. The coordinator hands a unit out
  // with its answer: one that nobody hears is lost to this worker for the coordinator's lease, ten
  // minutes. A poll that has lasted several times as long as answers take is held by the coordinator
  // and not waited for. 4 s at most.
  void AwaitAnswer();

 private:
  enum class Kind { kAccepted, kRefused, kKnown, kNoWork, kHold, kFailed, kSkipped, kCancelled };
  struct Tick {
    Kind kind;
    bool waited = false;  // the coordinator held the poll open as asked
    double seconds = 0;   // how long the call took
    uint32_t retry_after = 0;
  };
  // Waits for demand. False: this tick of a bounded run is over without a poll.
  bool AwaitDemand(std::stop_token stop, DemandBoard::View& view);
  Tick Poll(std::stop_token stop, const DemandBoard::View& view);
  // The poll that is under way is to be waited for until then.
  void WaitedForUntil(std::chrono::steady_clock::time_point until);
  // No poll is under way any more.
  void NoteEnd(const Tick& tick);
  Tick TakeAnswer(const HttpResponse& response, std::stop_token stop,
                  const DemandBoard::View& view);
  Tick TakeOffer(const stated::v1::OfferRequest& offer, std::stop_token stop,
                 const DemandBoard::View& view);
  Tick Fail(const absl::Status& status, std::stop_token stop, uint32_t retry_after = 0);
  void Pause(const Tick& tick, std::stop_token stop, const DemandBoard::View& view);

  const Options options_;
  Coordinator& coordinator_;
  StatedClient& stated_;
  DemandBoard& board_;
  Counters& counters_;
  Backoff backoff_;
  std::string idle_code_;  // last one logged
  bool held_ = false;      // the last answer was a hold

  std::mutex mutex_;
  std::condition_variable changed_;
  // While a poll is under way: how long a stop waits for it.
  std::optional<std::chrono::steady_clock::time_point> waited_for_until_;
  double answer_seconds_;  // how long those answers lately took that were not held
};

}  // namespace auspex

#endif  // AUSPEX_NETD_POLL_LOOP_H_
