// SPDX-License-Identifier: AGPL-3.0-only
// Slots: threads that each run one unit at a time, as many as the owner sets, and the list of what is
// in hand. The threads live as long as the object: a sandbox dies with the thread that started it.
// Safe from any thread.
#ifndef AUSPEX_RUNNERD_SLOTS_H_
#define AUSPEX_RUNNERD_SLOTS_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runnerd/run_control.h"
#include "runnerd/unit.h"

namespace auspex::runnerd {

class Slots {
 public:
  // Runs one unit to its end, report included; called on a slot's thread.
  using Work = std::function<void(const Unit& unit, RunControl& control)>;
  Slots(int count, Work work);
  // Kills what runs (as Stop with no grace) and joins.
  ~Slots();

  // Queues a unit; more units than slots wait their turn. False when this assignment is in hand already, or when stopping. What is handed out
  // while the same assignment runs, or was ended, follows when that is over: it may have come back under its old name, refused and offered again,
  // before the slot that refused it is done. If it is the one that ran, handed out once more on a new stream, its work finds it is not wanted.
  bool Add(Unit unit);
  // How many units may run at a time from now on, 1 or more. What runs beyond that runs on to its end.
  // False when it was so already.
  bool SetCount(int count);
  bool InHand(const std::string& assignment_id) const;

  // Ends the unit of an assignment; one that waits is dropped, and so is what was to follow. Nothing happens for an unknown one.
  void End(const std::string& assignment_id, EndReason reason, double grace_seconds = 0);
  // What the governor asks for, at every look; the same orders again change nothing.
  struct Orders {
    EndReason strain = EndReason::kNone;  // why no executor is to run; kNone: they may
    bool hold = false;                    // nothing new is begun; false: it is, and will be refused
    bool freeze = true;                   // what executes is frozen; false: it is ended
    double max_frozen_seconds = 600;      // what waits or prepares for so long is ended too
  };
  // True when they were other orders than the last, or the number of what is frozen has changed.
  bool Obey(const Orders& orders);

  enum class AbortOutcome { kNotRunning, kTerminated, kKilled };
  // SIGTERM, then SIGKILL after the grace; returns when every unit of that id is gone.
  AbortOutcome Abort(const UnitId& unit_id, double grace_seconds);

  struct Running {
    Unit unit;
    int64_t started_at_micros = 0;
    bool frozen = false;  // its executor, or its preparation before that
  };
  std::vector<Running> ListRunning() const;
  // How many of those are frozen.
  int CountFrozen() const;
  int count() const;

  // Takes no more units, lets the running ones finish for up to `grace_seconds`, then ends them
  // (kStopping) and waits.
  void Stop(double grace_seconds);

 private:
  struct Entry {
    explicit Entry(Unit u) : unit(std::move(u)) {}
    Unit unit;
    RunControl control;
    bool running = false;
    int64_t started_at_micros = 0;
    bool frozen = false;
    std::optional<int64_t> strained_at;  // monotonic; since when orders have kept it from running
    std::optional<Unit> next;            // the same assignment, handed out once more
  };
  void Queue(Unit unit) /* mutex_ held */;
  void Serve();
  // The first that may begin, or that was ended while it waited; none: null.
  std::shared_ptr<Entry> TakeNext() /* mutex_ held */;

  const Work work_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Entry>> entries_;  // by assignment id
  std::deque<std::shared_ptr<Entry>> queue_;
  bool stopping_ = false, held_ = false;
  int count_ = 0, running_ = 0;
  EndReason strain_ = EndReason::kNone;
  int frozen_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_SLOTS_H_
