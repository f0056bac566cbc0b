// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/recorder.h"

#include <algorithm>
#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/ids/ids.h"

namespace auspex::keyd {

Recorder::Recorder(Journal& journal, const Clock& clock)
    : journal_(journal), clock_(clock), allowance_since_micros_(clock.MonotonicMicros()) {}

absl::StatusOr<Journal::Ticket> Recorder::Submit(JournalEntry entry) {
  entry.time_micros = clock_.NowMicros();
  return journal_.Submit(entry);
}

absl::StatusOr<DurableRecord> Recorder::Record(JournalEntry entry) {
  ASSIGN_OR_RETURN(const Journal::Ticket ticket, Submit(std::move(entry)));
  return Wait(ticket);
}

absl::Status Recorder::Refuse(JournalEntry entry, const absl::Status& why) {
  refusals_.fetch_add(1, std::memory_order_relaxed);
  uint64_t left_out = 0;
  if (!TakeAllowance(left_out)) return why;
  entry.outcome = Outcome::kRefused;
  entry.digest = entry.bound = Digest32{};
  // What is refused may be anything: the record gets printable text of a bounded length.
  entry.subject = Printable(entry.subject);
  entry.unit = Printable(entry.unit);
  entry.cause = Printable(std::string(why.message()), 180);
  if (left_out > 0) entry.cause += Cat(" (and ", left_out, " refusals before, not recorded)");
  absl::StatusOr<DurableRecord> record = Record(std::move(entry));
  return record.ok() ? why : record.status();
}

bool Recorder::TakeAllowance(uint64_t& left_out) {
  std::lock_guard lock(mutex_);
  const int64_t now = clock_.MonotonicMicros();
  const int64_t earned = (now - allowance_since_micros_) * kRefusalsPerSecond / 1'000'000;
  if (earned > 0) {
    allowance_ = std::min(kRefusalBurst, allowance_ + earned);
    allowance_since_micros_ = now;
  }
  if (allowance_ == 0) {
    ++left_out_;
    return false;
  }
  --allowance_;
  left_out = std::exchange(left_out_, 0);
  return true;
}

}  // namespace auspex::keyd
