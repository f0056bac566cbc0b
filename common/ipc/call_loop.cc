// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/call_loop.h"

namespace auspex {

CallLoop::~CallLoop() { Stop(); }

void CallLoop::Start() {
  for (const auto& slot : slots_of_all_) slot->Await();
  thread_ = std::thread([this] { Run(); });
}

void CallLoop::Stop() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, true) || queue_ == nullptr) return;
  }
  queue_->Shutdown();
  if (thread_.joinable()) {
    thread_.join();
  } else {
    Run();  // A server that did not start; a queue must be empty at its end.
  }
}

void CallLoop::Run() {
  std::vector<AnySlot*> group;
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) {
    Take(*static_cast<AnySlot*>(tag), ok, group);
    if (group.empty()) continue;
    // Ends: a slot whose call has begun takes no other call before it was answered.
    while (queue_->AsyncNext(&tag, &ok, gpr_inf_past(GPR_CLOCK_MONOTONIC)) ==
           grpc::CompletionQueue::GOT_EVENT) {
      Take(*static_cast<AnySlot*>(tag), ok, group);
    }
    all_begun_();
    for (AnySlot* slot : group) slot->Respond();
    group.clear();
  }
}

void CallLoop::Take(AnySlot& slot, bool ok, std::vector<AnySlot*>& group) {
  if (slot.answered) {
    Reuse(slot);
  } else if (ok) {
    slot.Begin();
    group.push_back(&slot);
  } else {
    slot.Clear();  // The server ends, no call came.
  }
}

void CallLoop::Reuse(AnySlot& slot) {
  slot.Clear();
  const std::lock_guard lock(mutex_);
  if (!stopping_) slot.Await();
}

}  // namespace auspex
