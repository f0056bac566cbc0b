// SPDX-License-Identifier: AGPL-3.0-only
// Recorder: writes journal entries with the time, counts them, and keeps a flood of refused
// requests from filling the disk. Safe from any thread; `journal` and `clock` outlive it.
#ifndef AUSPEX_KEYD_RECORDER_H_
#define AUSPEX_KEYD_RECORDER_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "keyd/journal.h"

namespace auspex::keyd {

class Recorder {
 public:
  // Refusals are recorded one by one up to this many at once; the allowance grows again by
  // kRefusalsPerSecond. Beyond it they are counted, and the next record says how many were left
  // out.
  static constexpr int64_t kRefusalBurst = 1000;
  static constexpr int64_t kRefusalsPerSecond = 10;

  Recorder(Journal& journal, const Clock& clock);

  // Makes a record of a signing or of an owner's act durable. `entry` needs no time. UNAVAILABLE as
  // Journal::Append.
  absl::StatusOr<DurableRecord> Record(JournalEntry entry);
  // The same in two halves, as Journal::Submit and Journal::Wait.
  absl::StatusOr<Journal::Ticket> Submit(JournalEntry entry);
  absl::StatusOr<DurableRecord> Wait(const Journal::Ticket& ticket) {
    return journal_.Wait(ticket);
  }
  // Records that `entry` was refused for `why` and returns `why`; UNAVAILABLE when the journal is
  // out of order.
  absl::Status Refuse(JournalEntry entry, const absl::Status& why);
  // Counts a released signature.
  void CountSignature() { signatures_.fetch_add(1, std::memory_order_relaxed); }

  // Since start.
  uint64_t signatures() const { return signatures_.load(std::memory_order_relaxed); }
  uint64_t refusals() const { return refusals_.load(std::memory_order_relaxed); }

 private:
  // True when a refusal may be recorded now; `left_out` is then how many were not before it.
  bool TakeAllowance(uint64_t& left_out);

  Journal& journal_;
  const Clock& clock_;
  std::atomic<uint64_t> signatures_{0}, refusals_{0};
  std::mutex mutex_;
  int64_t allowance_ = kRefusalBurst;
  int64_t allowance_since_micros_ = 0;  // monotonic
  uint64_t left_out_ = 0;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_RECORDER_H_
