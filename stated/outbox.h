// SPDX-License-Identifier: AGPL-3.0-only
// OutboxQueue: what netd has to send and to fetch, when, and what became of it. The items are rows;
// which of them are in flight on the present session is known in memory only, so that the end of a
// stream (or of stated) makes them due again. The whole retry schedule is here and in retry.h. Safe
// from any thread; a Session is used by one thread.
#ifndef AUSPEX_STATED_OUTBOX_H_
#define AUSPEX_STATED_OUTBOX_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stated/context.h"
#include "stated/outbox_rows.h"

namespace auspex::stated {

// How many items may be unsettled on a stream at a time.
inline constexpr size_t kMaxInFlight = 32;  // results, refusals, packages
inline constexpr size_t kMaxReceiptsInFlight =
    8;  // receipts wait their turn apart, so that none holds up a result

struct OutboxItem {
  int64_t id = 0;
  int64_t attempt = 1;
  OutboxKind kind = OutboxKind::kResult;
  std::string unit_id, assignment_id;
  std::string subject;  // result id (receipt), manifest sha256 (package), refusal kind (refusal)
  std::string body;     // results and refusals
};

// What became of an item, as stated.proto's SettleRequest says.
struct ResultAccepted {
  std::string_view untrusted_result_id, untrusted_unit_status_after;
  bool already = false;
  int64_t completions_so_far = 0, replication_target = 0;
};
struct RefusalDone {
  std::string_view untrusted_note;
};
struct ReceiptArrived {
  std::string_view untrusted_cose;
};
struct ReceiptNever {
  std::string_view untrusted_reason;
};
struct Terminal {
  std::string_view untrusted_code, untrusted_text;
};
struct Transient {
  std::string_view untrusted_text;
  int64_t retry_after_seconds = 0;
};
struct Held {
  std::string_view untrusted_text;
};
using Outcome = std::variant<ResultAccepted, RefusalDone, ReceiptArrived, ReceiptNever, Terminal,
                             Transient, Held>;

class OutboxQueue {
 public:
  // netd's stream. Its end makes unsettled items due again at once.
  class Session {
   public:
    ~Session();
    // The next due item, each once per session, or nullopt when `timeout` passed without one.
    // ABORTED when a newer session replaced this one, UNAVAILABLE when stated stops.
    absl::StatusOr<std::optional<OutboxItem>> Next(std::chrono::microseconds timeout);

   private:
    friend class OutboxQueue;
    Session(OutboxQueue& queue, uint64_t epoch) : queue_(queue), epoch_(epoch) {}
    OutboxQueue& queue_;
    const uint64_t epoch_;
  };
  // Told when a package item is given up: its manifest and why.
  using PackageFailed =
      std::function<void(const std::string& manifest_sha256, const std::string& why)>;

  OutboxQueue(Context& context, PackageFailed package_failed);
  // Ends the session that is open, if any.
  std::unique_ptr<Session> Open();
  // True while a session is open.
  bool connected() const;

  // Records `outcome`. OK for an item that is gone; INVALID_ARGUMENT when the outcome does not fit
  // the item's kind or a field is not of its kind (the item stays in flight).
  absl::Status Settle(int64_t id, const Outcome& outcome);
  // The manifest of a package item; NOT_FOUND when there is none.
  absl::StatusOr<std::string> PackageOf(int64_t id);
  // The package of that item is spooled.
  absl::Status PackageArrived(int64_t id);
  // Due times that a clock set back would have put far into the future come back into reach. At
  // start and from time to time.
  absl::Status MendDueTimes();
  // Everything in flight is forgotten (the rows are gone).
  void Reset();

 private:
  absl::StatusOr<std::optional<OutboxItem>> TakeNow(uint64_t epoch, int64_t* next_due);
  void Release(int64_t id);

  Context& context_;
  const PackageFailed package_failed_;
  mutable std::mutex mutex_;    // taken before the database's read lock, never inside a write
  uint64_t epoch_ = 0;          // guarded by mutex_
  bool open_ = false;           // guarded by mutex_
  std::set<int64_t> sending_;   // guarded by mutex_; in flight, receipts apart
  std::set<int64_t> fetching_;  // guarded by mutex_; receipts in flight
};

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_OUTBOX_H_
