// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/wait_queues.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "auspex/runnerd/v1/runnerd.grpc.pb.h"
#include "common/ipc/channel.h"
#include "common/ipc/role_server.h"
#include "tests/support/temp_dir.h"

namespace auspex {
namespace {

namespace v1 = runnerd::v1;

// Gives a caller its own word back; "hold" it keeps until the caller is gone.
class EchoService final : public v1::Sandboxes::Service {
 public:
  grpc::Status Abort(grpc::ServerContext* context, const v1::AbortRequest* request,
                     v1::AbortResponse* response) override {
    response->set_outcome(request->unit_id());
    if (request->unit_id() != "hold") return grpc::Status::OK;
    held.set_value();
    while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return grpc::Status::CANCELLED;
  }
  std::promise<void> held;
};

class WaitQueuesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    StartServer();
    stub_ = v1::Sandboxes::NewStub(ConnectTo(socket_));
  }
  void StartServer() {
    auto started = RoleServer::Start(
        {.role = "test/owner", .socket_path = socket_, .allow = PeerRule::Self()}, {&service_});
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = std::move(*started);
  }
  grpc::Status Call(grpc::ClientContext& context, const std::string& word, std::string* heard) {
    v1::AbortRequest request;
    request.set_unit_id(word);
    v1::AbortResponse response;
    const grpc::Status status = queues_.Call(response, [&](grpc::CompletionQueue& queue) {
      return stub_->AsyncAbort(&context, request, &queue);
    });
    *heard = response.outcome();
    return status;
  }

  testing::TempDir folder_;
  std::string socket_ = folder_ / "owner.sock";
  EchoService service_;
  std::unique_ptr<RoleServer> server_;
  std::unique_ptr<v1::Sandboxes::Stub> stub_;
  WaitQueues queues_;
};

TEST_F(WaitQueuesTest, EachThreadHearsItsOwnAnswers) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (int call = 0; call < 50; ++call) {
        grpc::ClientContext context;
        SetDeadline(context, 30);
        const std::string word = std::to_string(thread) + "-" + std::to_string(call);
        std::string heard;
        const grpc::Status status = Call(context, word, &heard);
        EXPECT_TRUE(status.ok()) << status.error_message();
        EXPECT_EQ(heard, word);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(WaitQueuesTest, ADeadlineEndsTheWaitAndTheQueueServesTheNextCall) {
  grpc::ClientContext held, next;
  SetDeadline(held, 0.2);
  std::string heard;
  EXPECT_EQ(Call(held, "hold", &heard).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  SetDeadline(next, 30);
  const grpc::Status status = Call(next, "next", &heard);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(heard, "next");
}

TEST_F(WaitQueuesTest, AQueueServesAfterItsConnectionEnded) {
  for (int start = 0; start < 3; ++start) {
    std::string heard;
    grpc::Status status;
    // The call that finds out about the end fails.
    for (int attempt = 0; attempt < 2 && heard.empty(); ++attempt) {
      grpc::ClientContext context;
      SetDeadline(context, 30);
      context.set_wait_for_ready(true);
      status = Call(context, "here", &heard);
    }
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(heard, "here");
    server_.reset();
    StartServer();
  }
}

TEST_F(WaitQueuesTest, ACancelledCallEndsTheWait) {
  grpc::ClientContext context;
  SetDeadline(context, 60);
  std::thread canceller([&] {
    service_.held.get_future().wait();
    context.TryCancel();
  });
  std::string heard;
  EXPECT_EQ(Call(context, "hold", &heard).error_code(), grpc::StatusCode::CANCELLED);
  canceller.join();
}

}  // namespace
}  // namespace auspex
