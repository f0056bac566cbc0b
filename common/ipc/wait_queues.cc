// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/wait_queues.h"

#include "common/ipc/grpc_life.h"

namespace auspex {

WaitQueues::~WaitQueues() {
  void* tag = nullptr;
  bool ok = false;
  for (const auto& queue : idle_) {
    queue->Shutdown();
    while (queue->Next(&tag, &ok)) continue;  // a queue must be seen empty at its end
  }
}

std::unique_ptr<grpc::CompletionQueue> WaitQueues::Take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<grpc::CompletionQueue> queue = std::move(idle_.back());
      idle_.pop_back();
      return queue;
    }
  }
  KeepGrpc();  // sets how queues wait
  return std::make_unique<grpc::CompletionQueue>();
}

void WaitQueues::Give(std::unique_ptr<grpc::CompletionQueue> queue) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(queue));
}

}  // namespace auspex
