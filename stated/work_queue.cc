// SPDX-License-Identifier: AGPL-3.0-only
// The session side: what is handed out and taken back. Reports are in work_reports.cc.
#include "stated/work_queue.h"

#include <vector>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/log/log.h"
#include "stated/contact.h"

namespace auspex::stated {
namespace {

absl::Status CheckSlots(uint32_t slots) {
  if (slots >= 1 && slots <= kMaxSlots) return absl::OkStatus();
  return absl::InvalidArgumentError(Cat("slots: ", slots, " is outside 1..", kMaxSlots));
}

}  // namespace

absl::StatusOr<std::unique_ptr<WorkQueue::Session>> WorkQueue::Open(uint32_t slots) {
  RETURN_IF_ERROR(CheckSlots(slots));
  uint64_t epoch = 0;
  {
    const std::lock_guard lock(mutex_);
    epoch = ++epoch_;
    slots_ = slots;
    handed_.clear();
    ends_.clear();
  }
  // After the old session has ended, so that it cannot begin a unit behind this.
  if (absl::Status status = Requeue(); !status.ok()) {
    // Without a session there is nobody to take work for.
    {
      const std::lock_guard lock(mutex_);
      if (epoch_ == epoch) slots_ = 0;
    }
    context_.changes.Notify({Topic::kDemand, Topic::kStatus});
    return status;
  }
  LogInfo("runner_connected", {{"slots", slots}});
  context_.changes.Notify({Topic::kSlotFreed, Topic::kWork, Topic::kDemand, Topic::kStatus});
  return std::unique_ptr<Session>(new Session(*this, epoch));
}

WorkQueue::Session::~Session() { queue_.Close(epoch_); }

void WorkQueue::Close(uint64_t epoch) {
  {
    const std::lock_guard lock(mutex_);
    if (epoch != epoch_ || slots_ == 0) return;
    slots_ = 0;
    handed_.clear();
    ends_.clear();
  }
  if (absl::Status status = Requeue(); !status.ok()) {
    // Open and the next start do it again, so nothing is lost.
    LogWarning("requeue_failed", {{"reason", std::string(status.message())}});
  }
  LogInfo("runner_disconnected");
  context_.changes.Notify({Topic::kWork, Topic::kDemand, Topic::kStatus});
}

absl::Status WorkQueue::SetSlots(uint32_t slots) {
  RETURN_IF_ERROR(CheckSlots(slots));
  {
    const std::lock_guard lock(mutex_);
    if (slots_ == 0 || slots_ == slots) return absl::OkStatus();
    slots_ = slots;
  }
  LogInfo("slots_changed", {{"slots", slots}});
  context_.changes.Notify({Topic::kSlotFreed, Topic::kWork, Topic::kDemand, Topic::kStatus});
  return absl::OkStatus();
}

uint32_t WorkQueue::slots() const {
  const std::lock_guard lock(mutex_);
  return slots_;
}

absl::Status WorkQueue::Requeue() {
  int64_t running = 0;
  RETURN_IF_ERROR(context_.db.Read([&](Connection& db) -> absl::Status {
    ASSIGN_OR_RETURN(running, SingleNumber(db, "SELECT COUNT(*) FROM units WHERE state = 2"));
    return absl::OkStatus();
  }));
  if (running == 0) return absl::OkStatus();
  return context_.db.Write([&](Connection& db) -> absl::Status {
    std::vector<std::string> lost;
    {
      Statement rows(db, "SELECT assignment_id FROM units WHERE state = 2 ORDER BY id");
      while (true) {
        ASSIGN_OR_RETURN(const bool more, rows.Step());
        if (!more) break;
        lost.push_back(rows.Text(0));
      }
    }
    const int64_t now = context_.clock.NowMicros();
    for (const std::string& assignment : lost) {
      ASSIGN_OR_RETURN(UnitRow unit, RequireUnit(db, assignment));
      RETURN_IF_ERROR(MoveUnit(db, unit, UnitEvent::kRunnerLost, "the runner went away", now));
      RETURN_IF_ERROR(WriteAudit(db, "requeued", unit, "the runner went away", now));
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<std::optional<WorkItem>> WorkQueue::Session::Next(
    std::chrono::microseconds timeout) {
  const uint64_t seen = queue_.context_.changes.Version(Topic::kWork);
  ASSIGN_OR_RETURN(std::optional<WorkItem> item, queue_.TakeNow(epoch_));
  if (item.has_value()) return item;
  queue_.context_.changes.Wait(Topic::kWork, seen, timeout);
  return queue_.TakeNow(epoch_);
}

absl::StatusOr<std::optional<WorkItem>> WorkQueue::TakeNow(uint64_t epoch) {
  if (context_.changes.stopped()) return absl::UnavailableError("stated is stopping");
  // Held over the read and the note in handed_: a refusal that commits meanwhile finds the unit
  // there and ends it.
  const std::lock_guard lock(mutex_);
  if (epoch != epoch_) return absl::AbortedError("a newer runner stream has taken over");
  if (!ends_.empty()) {
    WorkItem item = std::move(ends_.front());
    ends_.pop_front();
    return std::optional<WorkItem>(std::move(item));
  }
  if (handed_.size() >= slots_) return std::optional<WorkItem>();
  ASSIGN_OR_RETURN(std::optional<RunUnit> run, PickUnit());
  if (!run.has_value()) return std::optional<WorkItem>();
  handed_.insert(run->unit.assignment_id);
  return std::optional<WorkItem>(*std::move(run));
}

absl::StatusOr<std::optional<RunUnit>> WorkQueue::PickUnit() {
  std::optional<RunUnit> picked;
  RETURN_IF_ERROR(context_.db.Read([&](Connection& db) -> absl::Status {
    ASSIGN_OR_RETURN(const ContactRow contact, ReadContact(db));
    if (contact.self_paused) return absl::OkStatus();
    std::string assignment;
    {
      Statement rows(db, "SELECT assignment_id FROM units WHERE state = 1 ORDER BY id LIMIT ?",
                     static_cast<int64_t>(handed_.size()) + 1);
      while (assignment.empty()) {
        ASSIGN_OR_RETURN(const bool more, rows.Step());
        if (!more) return absl::OkStatus();
        if (!handed_.contains(rows.Text(0))) assignment = rows.Text(0);
      }
    }
    RunUnit run;
    ASSIGN_OR_RETURN(run.unit, RequireUnit(db, assignment));
    Statement payload(db, "SELECT payload FROM units WHERE id = ?", run.unit.id);
    RETURN_IF_ERROR(payload.Step().status());
    run.canonical_payload = payload.Text(0);
    Statement accepted(db, "SELECT 1 FROM accepted_experiments WHERE experiment_id = ?",
                       run.unit.experiment_id);
    ASSIGN_OR_RETURN(run.sensitive_accepted, accepted.Step());
    picked = std::move(run);
    return absl::OkStatus();
  }));
  return picked;
}

bool WorkQueue::IsHanded(const std::string& assignment_id) const {
  const std::lock_guard lock(mutex_);
  return handed_.contains(assignment_id);
}

void WorkQueue::Drop(const std::string& assignment_id, std::optional<std::string> end_reason) {
  {
    const std::lock_guard lock(mutex_);
    const bool was_handed = handed_.erase(assignment_id) > 0;
    if (was_handed && end_reason.has_value()) {
      ends_.push_back(EndUnit{assignment_id, *std::move(end_reason)});
    }
  }
  context_.changes.Notify({Topic::kSlotFreed, Topic::kWork, Topic::kDemand, Topic::kOutbox,
                           Topic::kStatus, Topic::kPackages});
}

void WorkQueue::EndAll(std::string_view reason) {
  {
    const std::lock_guard lock(mutex_);
    for (const std::string& assignment : handed_) {
      ends_.push_back(EndUnit{assignment, std::string(reason)});
    }
    handed_.clear();
  }
  context_.changes.Notify({Topic::kSlotFreed, Topic::kWork, Topic::kDemand, Topic::kOutbox,
                           Topic::kStatus, Topic::kPackages});
}

}  // namespace auspex::stated
