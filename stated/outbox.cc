// SPDX-License-Identifier: AGPL-3.0-only
// The session side: what is due and given out. What became of it is in settle.cc.
#include "stated/outbox.h"

#include <algorithm>
#include <limits>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/log/log.h"
#include "stated/contact.h"
#include "stated/retry.h"

namespace auspex::stated {
namespace {

constexpr int64_t kNothingDue = std::numeric_limits<int64_t>::max();

// The first row that is due and not in flight. 0: none; then *next_due gets the earliest due time
// that lies ahead.
absl::StatusOr<int64_t> FirstDue(Statement& rows, const std::set<int64_t>& in_flight) {
  while (true) {
    ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return int64_t{0};
    if (!in_flight.contains(rows.Int(0))) return rows.Int(0);
  }
}

absl::StatusOr<std::optional<OutboxItem>> LoadItem(Connection& db, int64_t id) {
  Statement row(db,
                "SELECT id, attempts, kind, unit_id, assignment_id, subject, body FROM outbox"
                " WHERE id = ?",
                id);
  ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return std::optional<OutboxItem>();
  OutboxItem item;
  item.id = row.Int(0);
  item.attempt = row.Int(1) + 1;
  item.kind = static_cast<OutboxKind>(row.Int(2));
  item.unit_id = row.Text(3);
  item.assignment_id = row.Text(4);
  item.subject = row.Text(5);
  item.body = row.Text(6);
  return std::optional<OutboxItem>(std::move(item));
}

}  // namespace

OutboxQueue::OutboxQueue(Context& context, PackageFailed package_failed)
    : context_(context), package_failed_(std::move(package_failed)) {}

std::unique_ptr<OutboxQueue::Session> OutboxQueue::Open() {
  uint64_t epoch = 0;
  {
    const std::lock_guard lock(mutex_);
    epoch = ++epoch_;
    open_ = true;
    sending_.clear();
    fetching_.clear();
  }
  LogInfo("outbox_connected");
  context_.changes.Notify({Topic::kOutbox, Topic::kStatus});
  return std::unique_ptr<Session>(new Session(*this, epoch));
}

OutboxQueue::Session::~Session() {
  {
    const std::lock_guard lock(queue_.mutex_);
    if (epoch_ != queue_.epoch_) return;
    queue_.open_ = false;
    queue_.sending_.clear();
    queue_.fetching_.clear();
  }
  LogInfo("outbox_disconnected");
  queue_.context_.changes.Notify({Topic::kStatus});
}

bool OutboxQueue::connected() const {
  const std::lock_guard lock(mutex_);
  return open_;
}

void OutboxQueue::Reset() {
  const std::lock_guard lock(mutex_);
  sending_.clear();
  fetching_.clear();
}

void OutboxQueue::Release(int64_t id) {
  {
    const std::lock_guard lock(mutex_);
    sending_.erase(id);
    fetching_.erase(id);
  }
  context_.changes.Notify({Topic::kOutbox, Topic::kDemand, Topic::kStatus});
}

absl::StatusOr<std::optional<OutboxItem>> OutboxQueue::Session::Next(
    std::chrono::microseconds timeout) {
  const uint64_t seen = queue_.context_.changes.Version(Topic::kOutbox);
  int64_t next_due = kNothingDue;
  ASSIGN_OR_RETURN(std::optional<OutboxItem> item, queue_.TakeNow(epoch_, &next_due));
  if (item.has_value()) return item;
  if (next_due != kNothingDue) {
    // One microsecond more than the difference: a wait that ends early would only look again.
    const int64_t ahead = std::max<int64_t>(next_due - queue_.context_.clock.NowMicros(), 0) + 1;
    timeout = std::min(timeout, std::chrono::microseconds(ahead));
  }
  queue_.context_.changes.Wait(Topic::kOutbox, seen, timeout);
  return queue_.TakeNow(epoch_, &next_due);
}

absl::StatusOr<std::optional<OutboxItem>> OutboxQueue::TakeNow(uint64_t epoch, int64_t* next_due) {
  if (context_.changes.stopped()) return absl::UnavailableError("stated is stopping");
  const std::lock_guard lock(mutex_);
  if (epoch != epoch_) return absl::AbortedError("a newer outbox stream has taken over");
  std::optional<OutboxItem> item;
  RETURN_IF_ERROR(context_.db.Read([&](Connection& db) -> absl::Status {
    const int64_t now = context_.clock.NowMicros();
    ASSIGN_OR_RETURN(const ContactRow contact, ReadContact(db));
    // A quarantined worker's results are answered with 423 (W3): they stay here until the hold is
    // lifted. Refusals are taken.
    const int64_t results_wait = contact.hold_kind == "quarantine" ? 1 : 0;
    int64_t id = 0;
    if (sending_.size() < kMaxInFlight) {
      Statement rows(db,
                     "SELECT id FROM outbox WHERE kind IN (1, 2, 4) AND due <= ?1"
                     " AND NOT (kind = 1 AND ?2) ORDER BY id LIMIT ?3",
                     now, results_wait, sending_.size() + 1);
      ASSIGN_OR_RETURN(id, FirstDue(rows, sending_));
    }
    if (id == 0 && fetching_.size() < kMaxReceiptsInFlight) {
      // By due time: one that never comes moves behind the others (W5).
      Statement rows(db, "SELECT id FROM outbox WHERE kind = 3 AND due <= ? ORDER BY due LIMIT ?",
                     now, fetching_.size() + 1);
      ASSIGN_OR_RETURN(id, FirstDue(rows, fetching_));
    }
    if (id != 0) {
      ASSIGN_OR_RETURN(item, LoadItem(db, id));
      return absl::OkStatus();
    }
    Statement ahead(db, "SELECT MIN(due) FROM outbox WHERE due > ?", now);
    RETURN_IF_ERROR(ahead.Step().status());
    if (!ahead.IsNull(0)) *next_due = ahead.Int(0);
    return absl::OkStatus();
  }));
  if (item.has_value())
    (item->kind == OutboxKind::kReceipt ? fetching_ : sending_).insert(item->id);
  return item;
}

absl::StatusOr<std::string> OutboxQueue::PackageOf(int64_t id) {
  std::optional<OutboxItem> item;
  RETURN_IF_ERROR(context_.db.Read([&](Connection& db) -> absl::Status {
    ASSIGN_OR_RETURN(item, LoadItem(db, id));
    return absl::OkStatus();
  }));
  if (!item.has_value() || item->kind != OutboxKind::kPackage) {
    return absl::NotFoundError(Cat("outbox item ", id, ": no package is asked for under it"));
  }
  return item->subject;
}

absl::Status OutboxQueue::PackageArrived(int64_t id) {
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) -> absl::Status {
    RETURN_IF_ERROR(DeleteOutboxItem(db, id));
    if (db.RowsChanged() > 0) return absl::OkStatus();
    return absl::NotFoundError(Cat("outbox item ", id, ": the package is not asked for any more"));
  }));
  Release(id);
  context_.changes.Notify({Topic::kPackages});
  return absl::OkStatus();
}

absl::Status OutboxQueue::MendDueTimes() {
  const int64_t now = context_.clock.NowMicros();
  const int64_t latest = now + (kMaxRetryAfterSeconds + 60) * 1'000'000;
  int64_t beyond = 0;
  RETURN_IF_ERROR(context_.db.Read([&](Connection& db) -> absl::Status {
    Statement row(db, "SELECT COUNT(*) FROM outbox WHERE due > ?", latest);
    RETURN_IF_ERROR(row.Step().status());
    beyond = row.Int(0);
    return absl::OkStatus();
  }));
  if (beyond == 0) return absl::OkStatus();
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) {
    return Statement(db, "UPDATE outbox SET due = ? WHERE due > ?", now, latest).Run();
  }));
  LogWarning("due_times_mended", {{"items", beyond}});
  context_.changes.Notify({Topic::kOutbox});
  return absl::OkStatus();
}

}  // namespace auspex::stated
