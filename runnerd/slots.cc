// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/slots.h"

#include <chrono>
#include <utility>

#include "common/base/clock.h"

namespace auspex::runnerd {

Slots::Slots(int count, Work work) : work_(std::move(work)) {
  for (int i = 0; i < count; ++i) threads_.emplace_back([this] { Serve(); });
}

Slots::~Slots() {
  Stop(0);
  for (std::thread& thread : threads_) thread.join();
}

bool Slots::Add(Unit unit) {
  std::lock_guard lock(mutex_);
  const std::string key = unit.assignment_id.str();
  if (stopping_ || entries_.contains(key)) return false;
  auto entry = std::make_shared<Entry>(std::move(unit));
  entries_.emplace(key, entry);
  queue_.push_back(std::move(entry));
  changed_.notify_all();
  return true;
}

bool Slots::InHand(const std::string& assignment_id) const {
  std::lock_guard lock(mutex_);
  return entries_.contains(assignment_id);
}

void Slots::Serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    std::shared_ptr<Entry> entry = std::move(queue_.front());
    queue_.pop_front();
    // A unit that was ended while it waited is never started.
    const bool run = !stopping_ && !entry->control.requested();
    if (run) {
      entry->running = true;
      entry->started_at_micros = Clock::System().NowMicros();
      lock.unlock();
      work_(entry->unit, entry->control);
      lock.lock();
    }
    entry->control.Finish();
    entries_.erase(entry->unit.assignment_id.str());
    changed_.notify_all();
  }
}

void Slots::End(const std::string& assignment_id, EndReason reason, double grace_seconds) {
  std::shared_ptr<Entry> entry;
  {
    std::lock_guard lock(mutex_);
    if (auto at = entries_.find(assignment_id); at != entries_.end()) entry = at->second;
  }
  if (entry != nullptr) entry->control.Request(reason, grace_seconds);
}

void Slots::EndAll(EndReason reason) {
  std::lock_guard lock(mutex_);
  for (auto& [id, entry] : entries_) {
    if (entry->running) entry->control.Request(reason);
  }
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
    if (entry->running) list.push_back({entry->unit, entry->started_at_micros});
  }
  return list;
}

void Slots::Stop(double grace_seconds) {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  // What waits was not begun: stated still has it as accepted.
  for (auto& entry : queue_) entry->control.Finish();
  queue_.clear();
  std::erase_if(entries_, [](const auto& item) { return !item.second->running; });
  changed_.notify_all();
  const auto idle = [this] { return entries_.empty(); };
  if (changed_.wait_for(lock, std::chrono::duration<double>(grace_seconds), idle)) return;
  for (auto& [id, entry] : entries_) entry->control.Request(EndReason::kStopping);
  changed_.wait(lock, idle);
}

}  // namespace auspex::runnerd
