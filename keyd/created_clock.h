// SPDX-License-Identifier: AGPL-3.0-only
// CreatedClock: gives each request its `created` (wire protocol, 2.2). It is the time of this
// machine, and never before that of an earlier request of the same enrolment, in the order of the
// journal's records, across restarts.
//
//   ASSIGN_OR_RETURN(CreatedClock::Hold hold, clock.Take());
//   ... compose with hold.created(), check ...
//   hold.Commit();  // it will be signed
//   ... hand the record to the journal, which settles its place; the hold ends ...
//
// Requests of the same second go on side by side; the first of a later second waits until their
// records have their places. A small step back of the machine's clock is bridged by
// the last value; a larger one is refused until the clock has caught up or the owner pins the
// enrolment anew. Safe from any thread except Replay; `clock` outlives the object.
#ifndef AUSPEX_KEYD_CREATED_CLOCK_H_
#define AUSPEX_KEYD_CREATED_CLOCK_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/journal/record.h"

namespace auspex::keyd {

class CreatedClock {
 public:
  // How far the machine's clock may be behind the last `created`, in seconds.
  static constexpr int64_t kMaxBehindSeconds = 5;

  // The right to have one request signed with created(). Given back at its end.
  class Hold {
   public:
    Hold(Hold&& other) noexcept
        : clock_(std::exchange(other.clock_, nullptr)), created_(other.created_) {}
    Hold& operator=(Hold&&) = delete;
    ~Hold() {
      if (clock_ != nullptr) clock_->Release();
    }
    // Unix seconds.
    int64_t created() const { return created_; }
    // From here on no request is signed with less. Without it the hold leaves no trace.
    void Commit() { clock_->Commit(created_); }

   private:
    friend class CreatedClock;
    Hold(CreatedClock* clock, int64_t created) : clock_(clock), created_(created) {}
    CreatedClock* clock_;
    int64_t created_;
  };

  explicit CreatedClock(const Clock& clock) : clock_(clock) {}

  // Takes over what a record of an earlier run says, in the journal's order. Before the first Take.
  void Replay(const JournalRecord& record);

  // FAILED_PRECONDITION when the machine's clock is more than kMaxBehindSeconds behind.
  absl::StatusOr<Hold> Take();

  // Runs `pin`, which makes the record of a new enrolment durable, while no request is between its
  // `created` and its record. When it is OK, `created` starts anew. Returns what `pin` returned.
  absl::Status StartAnew(const std::function<absl::Status()>& pin);

 private:
  void Commit(int64_t created);
  void Release();

  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t last_ = 0;     // committed or replayed
  int64_t current_ = 0;  // of the holds that are out
  int holds_ = 0;
  bool pinning_ = false;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_CREATED_CLOCK_H_
