// SPDX-License-Identifier: AGPL-3.0-only
// WorkQueue: the units in hand and the runner that works on them. At most one Session (runnerd's
// stream) is open; what it was given is remembered here in memory, the states are in the database.
// Safe from any thread; a Session is used by one thread.
#ifndef AUSPEX_STATED_WORK_QUEUE_H_
#define AUSPEX_STATED_WORK_QUEUE_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stated/completion.h"
#include "stated/context.h"
#include "stated/units.h"

namespace auspex::stated {

inline constexpr uint32_t kMaxSlots = 64;

struct RunUnit {
  UnitRow unit;
  std::string canonical_payload;
  bool sensitive_accepted = false;
};
struct EndUnit {
  std::string assignment_id;
  std::string reason;
};
using WorkItem = std::variant<RunUnit, EndUnit>;

class WorkQueue {
 public:
  // runnerd's stream. Its destructor hands the units that were running back, unless a newer session
  // took over.
  class Session {
   public:
    ~Session();
    // The next item, or nullopt when `timeout` passed without one. ABORTED when a newer session
    // replaced this one, UNAVAILABLE when stated stops.
    absl::StatusOr<std::optional<WorkItem>> Next(std::chrono::microseconds timeout);

   private:
    friend class WorkQueue;
    Session(WorkQueue& queue, uint64_t epoch) : queue_(queue), epoch_(epoch) {}
    WorkQueue& queue_;
    const uint64_t epoch_;
  };

  explicit WorkQueue(Context& context) : context_(context) {}
  // Ends the session that is open, if any. INVALID_ARGUMENT unless `slots` is 1..64. Where what ran cannot be handed back, its error, and there
  // is no session: slots() is 0.
  absl::StatusOr<std::unique_ptr<Session>> Open(uint32_t slots);
  // The owner changed the slots of the open session; nothing without one. INVALID_ARGUMENT as Open.
  absl::Status SetSlots(uint32_t slots);
  // Slots of the open session; 0 when there is none.
  uint32_t slots() const;

  // What runnerd reports. The errors are those of stated.proto. Only a unit that the open session
  // was given can begin. Devices that its executor may open go into the audit row.
  absl::Status Begin(std::string_view untrusted_assignment,
                     const std::vector<std::string>& untrusted_devices = {});
  absl::Status Complete(const UntrustedCompletion& untrusted);
  absl::Status Refuse(std::string_view untrusted_assignment, std::string_view untrusted_kind,
                      std::string_view untrusted_reason);
  // The owner refuses every unit in hand with this id; how many there were. An audit row is written
  // in any case.
  absl::StatusOr<uint32_t> OwnerRefuse(std::string_view untrusted_unit,
                                       std::string_view untrusted_reason);

  // RUNNING units become ACCEPTED again: at start, and when the runner is gone.
  absl::Status Requeue();
  // Tells the session to end all that it was given (the database has forgotten them).
  void EndAll(std::string_view reason);

 private:
  absl::StatusOr<std::optional<WorkItem>> TakeNow(uint64_t epoch);
  absl::StatusOr<std::optional<RunUnit>> PickUnit() /* mutex_ held */;
  void Close(uint64_t epoch);
  bool IsHanded(const std::string& assignment_id) const;
  // The unit is no longer the session's; with a reason the session is told to end it.
  void Drop(const std::string& assignment_id, std::optional<std::string> end_reason);

  Context& context_;
  mutable std::mutex mutex_;      // taken before the database's read lock, never inside a write
  uint64_t epoch_ = 0;            // guarded by mutex_; the open session's
  uint32_t slots_ = 0;            // guarded by mutex_
  std::set<std::string> handed_;  // guarded by mutex_; assignments given out and not ended
  std::deque<EndUnit> ends_;      // guarded by mutex_
};

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_WORK_QUEUE_H_
