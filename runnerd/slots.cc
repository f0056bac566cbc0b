// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/slots.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/clock.h"

namespace auspex::runnerd {
namespace {

bool IsStrain(EndReason reason) {
  return reason == EndReason::kThermal || reason == EndReason::kLoad ||
         reason == EndReason::kMemory || reason == EndReason::kDisk;
}

}  // namespace

Slots::Slots(int count, Work work) : work_(std::move(work)) { SetCount(count); }

Slots::~Slots() {
  Stop(0);
  for (std::thread& thread : threads_) thread.join();
}

bool Slots::Add(Unit unit) {
  std::lock_guard lock(mutex_);
  if (stopping_) return false;
  if (const auto at = entries_.find(unit.assignment_id.str()); at != entries_.end()) {
    Entry& entry = *at->second;
    if (entry.running || entry.control.requested()) entry.next = std::move(unit);
    return false;
  }
  Queue(std::move(unit));
  return true;
}

void Slots::Queue(Unit unit) {
  const std::string key = unit.assignment_id.str();
  auto entry = std::make_shared<Entry>(std::move(unit));
  entries_.emplace(key, entry);
  queue_.push_back(std::move(entry));
  changed_.notify_all();
}

bool Slots::SetCount(int count) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || std::exchange(count_, count) == count) return false;
  // Threads that are too many stay, without work: they may have sandboxes.
  while (threads_.size() < static_cast<size_t>(count)) threads_.emplace_back([this] { Serve(); });
  changed_.notify_all();
  return true;
}

int Slots::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

bool Slots::InHand(const std::string& assignment_id) const {
  std::lock_guard lock(mutex_);
  return entries_.contains(assignment_id);
}

std::shared_ptr<Slots::Entry> Slots::TakeNext() {
  for (auto at = queue_.begin(); at != queue_.end(); ++at) {
    if ((held_ || running_ >= count_) && !(*at)->control.requested()) continue;
    std::shared_ptr<Entry> entry = std::move(*at);
    queue_.erase(at);
    return entry;
  }
  return nullptr;
}

void Slots::Serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    std::shared_ptr<Entry> entry;
    changed_.wait(lock, [&] { return stopping_ || (entry = TakeNext()) != nullptr; });
    if (entry == nullptr) return;
    // A unit that was ended while it waited is never started; one that the machine had no room for
    // has to be refused.
    if (!stopping_ && (!entry->control.requested() || IsStrain(entry->control.reason()))) {
      entry->running = true;
      ++running_;
      entry->started_at_micros = Clock::System().NowMicros();
      lock.unlock();
      work_(entry->unit, entry->control);
      lock.lock();
      --running_;
    }
    entry->control.Finish();
    entries_.erase(entry->unit.assignment_id.str());
    if (entry->next && !stopping_) Queue(*std::move(entry->next));
    changed_.notify_all();
  }
}

void Slots::End(const std::string& assignment_id, EndReason reason, double grace_seconds) {
  std::shared_ptr<Entry> entry;
  {
    std::lock_guard lock(mutex_);
    if (auto at = entries_.find(assignment_id); at != entries_.end()) entry = at->second;
    if (entry == nullptr) return;
    entry->next.reset();
  }
  entry->control.Request(reason, grace_seconds);
  const std::lock_guard lock(mutex_);  // so that no slot is between its look and its wait
  changed_.notify_all();
}

bool Slots::Obey(const Orders& orders) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return false;
  int frozen = 0;
  const bool strained = orders.strain != EndReason::kNone;
  held_ = strained && orders.hold;
  const int64_t now = Clock::System().MonotonicMicros();
  for (auto& [id, entry] : entries_) {
    entry->control.SetHeld(strained);
    if (!strained) {
      entry->strained_at.reset();
    } else if (!entry->strained_at) {
      entry->strained_at = now;
    }
    const bool executes = entry->running && entry->control.phase() == UnitPhase::kExecuting;
    const bool freeze = strained && orders.freeze;
    entry->frozen = freeze && entry->running && entry->control.phase() != UnitPhase::kDone;
    entry->control.SetFrozen(freeze && executes);
    frozen += entry->frozen;
    if (!strained) continue;
    const bool too_long =
        static_cast<double>(now - *entry->strained_at) >= orders.max_frozen_seconds * 1e6;
    if (executes ? !orders.freeze || too_long
                 : too_long && entry->control.phase() == UnitPhase::kPreparing) {
      entry->control.Request(orders.strain);
    }
  }
  changed_.notify_all();
  const bool other = std::exchange(strain_, orders.strain) != orders.strain;
  return std::exchange(frozen_, frozen) != frozen || other;
}

Slots::AbortOutcome Slots::Abort(const UnitId& unit_id, double grace_seconds) {
  std::vector<std::shared_ptr<Entry>> found;
  {
    std::lock_guard lock(mutex_);
    for (auto& [id, entry] : entries_) {
      if (entry->running && entry->unit.unit_id == unit_id) found.push_back(entry);
    }
  }
  if (found.empty()) return AbortOutcome::kNotRunning;
  for (auto& entry : found) entry->control.Request(EndReason::kAborted, grace_seconds);
  AbortOutcome outcome = AbortOutcome::kTerminated;
  for (auto& entry : found) {
    if (entry->control.WaitFinished()) outcome = AbortOutcome::kKilled;
  }
  return outcome;
}

std::vector<Slots::Running> Slots::ListRunning() const {
  std::lock_guard lock(mutex_);
  std::vector<Running> list;
  for (const auto& [id, entry] : entries_) {
    if (entry->running) list.push_back({entry->unit, entry->started_at_micros, entry->frozen});
  }
  return list;
}

int Slots::CountFrozen() const {
  std::lock_guard lock(mutex_);
  return static_cast<int>(std::count_if(entries_.begin(), entries_.end(),
                                        [](const auto& item) { return item.second->frozen; }));
}

void Slots::Stop(double grace_seconds) {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  // What waits was not begun: stated still has it as accepted.
  for (auto& entry : queue_) entry->control.Finish();
  queue_.clear();
  std::erase_if(entries_, [](const auto& item) { return !item.second->running; });
  // What stands still cannot finish in the grace time.
  for (auto& [id, entry] : entries_) {
    if (entry->strained_at && entry->control.phase() != UnitPhase::kDone)
      entry->control.Request(EndReason::kStopping);
  }
  changed_.notify_all();
  const auto idle = [this] { return entries_.empty(); };
  if (changed_.wait_for(lock, std::chrono::duration<double>(grace_seconds), idle)) return;
  for (auto& [id, entry] : entries_) entry->control.Request(EndReason::kStopping);
  changed_.wait(lock, idle);
}

}  // namespace auspex::runnerd
