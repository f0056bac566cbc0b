// SPDX-License-Identifier: AGPL-3.0-only
// WaitQueues: lets threads wait for unary calls on queues that are kept. gRPC's own blocking call makes a queue, with a descriptor to
// wake it, and ends it again, for each call.
//
//   WaitQueues queues;
//   Response response;
//   const grpc::Status status = queues.Call(response, [&](grpc::CompletionQueue& queue) {
//     return stub.AsyncName(&context, request, &queue);
//   });
//
// Safe from any thread; there are as many queues as threads ever waited at once. Outlives its calls.
#ifndef AUSPEX_COMMON_IPC_WAIT_QUEUES_H_
#define AUSPEX_COMMON_IPC_WAIT_QUEUES_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace auspex {

class WaitQueues {
 public:
  WaitQueues() = default;
  ~WaitQueues();
  WaitQueues(const WaitQueues&) = delete;
  WaitQueues& operator=(const WaitQueues&) = delete;

  // Starts a call on a queue that no other thread has, and waits for its end: the status, and with OK `response`.
  template <typename Response, typename Start>
  grpc::Status Call(Response& response, Start start) {
    std::unique_ptr<grpc::CompletionQueue> queue = Take();
    grpc::Status status;
    const auto reader = start(*queue);
    reader->Finish(&response, &status, this);
    void* tag = nullptr;
    bool ok = false;
    queue->Next(&tag, &ok);  // comes in any case: with an answer, at the deadline, when cancelled
    Give(std::move(queue));
    return status;
  }

 private:
  std::unique_ptr<grpc::CompletionQueue> Take();
  void Give(std::unique_ptr<grpc::CompletionQueue> queue);

  std::mutex mutex_;
  std::vector<std::unique_ptr<grpc::CompletionQueue>> idle_;  // guarded by mutex_; empty queues
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_IPC_WAIT_QUEUES_H_
