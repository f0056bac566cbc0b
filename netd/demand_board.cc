// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/demand_board.h"

#include <algorithm>

namespace auspex {
namespace {

// Reasons whose coming or going changes what the coordinator may route here.
bool ChangesRouting(const std::string& reason) {
  return reason == "self_paused" || reason == "no_runner" || reason == "hot";
}

}  // namespace

DemandBoard::View DemandBoard::ViewLocked() const {
  View view = state_;
  view.free_slots -= std::min(view.free_slots, uncounted_);
  return view;
}

void DemandBoard::Update(const stated::v1::Demand& demand) {
  {
    std::lock_guard lock(mutex_);
    const bool is_first = state_.sequence == 0;
    const bool reason_changed = demand.reason() != state_.reason;
    if (is_first || demand.enrolled() != state_.enrolled ||
        (reason_changed && (ChangesRouting(demand.reason()) || ChangesRouting(state_.reason)))) {
      ++state_.capability_epoch;
    }
    ++state_.sequence;
    state_.enrolled = demand.enrolled();
    state_.free_slots = demand.free_slots();
    state_.generation = demand.generation();
    state_.reason = demand.reason();
    state_.in_hand = demand.in_hand();
    state_.outbox_unattempted = demand.outbox_unattempted();
    uncounted_ = 0;
  }
  changed_.notify_all();
}

void DemandBoard::Disconnected() {
  {
    std::lock_guard lock(mutex_);
    state_.free_slots = 0;
  }
  changed_.notify_all();
}

void DemandBoard::CountAccepted(uint64_t sequence) {
  std::lock_guard lock(mutex_);
  if (state_.sequence == sequence) ++uncounted_;
}

void DemandBoard::MarkBeaten(uint64_t epoch) {
  {
    std::lock_guard lock(mutex_);
    state_.beaten_epoch = std::max(state_.beaten_epoch, epoch);
  }
  changed_.notify_all();
}

DemandBoard::View DemandBoard::Get() const {
  std::lock_guard lock(mutex_);
  return ViewLocked();
}

bool DemandBoard::Wait(std::stop_token stop, double seconds, const Predicate& predicate,
                       View* view) {
  std::unique_lock lock(mutex_);
  View seen;
  const auto holds = [&] {
    seen = ViewLocked();
    return predicate(seen);
  };
  bool result;
  if (seconds < 0) {
    result = changed_.wait(lock, stop, holds);
  } else {
    // A year is for ever here, and keeps the clock's arithmetic in range.
    const auto time = std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>(std::min(seconds, 3e7)));
    result = changed_.wait_for(lock, stop, time, holds);
  }
  if (view != nullptr) *view = seen;
  return result;
}

}  // namespace auspex
