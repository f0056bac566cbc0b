// SPDX-License-Identifier: AGPL-3.0-only
#include "bench/traffic.h"

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "auspex/keyd/v1/keyd.grpc.pb.h"
#include "common/ipc/channel.h"

namespace auspex::bench {
namespace {

namespace v1 = keyd::v1;
using Clock = std::chrono::steady_clock;

constexpr double kDeadlineSeconds = 60;

// One asynchronous call after the other; its address is the tag.
class Caller {
 public:
  Caller(v1::RequestSigner::Stub& request, v1::ResultSigner::Stub& result,
         grpc::CompletionQueue& queue)
      : request_(request), result_(result), queue_(queue) {}

  void Send(const v1::SignRequestRequest& message) {
    Renew();
    request_reader_ = request_.AsyncSignRequest(&*context_, message, &queue_);
    request_reader_->Finish(&request_answer_, &status_, this);
  }
  void Send(const v1::SignResultRequest& message) {
    Renew();
    result_reader_ = result_.AsyncSignResult(&*context_, message, &queue_);
    result_reader_->Finish(&result_answer_, &status_, this);
  }
  void ExpectSigned() const {
    if (!status_.ok()) Fail("a signature was refused: " + status_.error_message());
  }

  // The next of a unit's four signatures; `unit` numbers the units.
  void SendNextOfUnit(uint64_t& units);

 private:
  void Renew() {
    context_.emplace();
    SetDeadline(*context_, kDeadlineSeconds);
  }

  v1::RequestSigner::Stub& request_;
  v1::ResultSigner::Stub& result_;
  grpc::CompletionQueue& queue_;
  std::optional<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::SignedRequest>> request_reader_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::SignResultResponse>> result_reader_;
  v1::SignedRequest request_answer_;
  v1::SignResultResponse result_answer_;
  grpc::Status status_;
  int step_ = 0;
  std::string unit_, assignment_;
};

void Caller::SendNextOfUnit(uint64_t& units) {
  v1::SignRequestRequest message;
  switch (step_++ % 4) {
    case 0: {
      const std::string number = std::to_string(++units);
      unit_ = "u-" + number;
      // As the coordinators make them: a prefix and 32 hex digits.
      assignment_ = "asg-" + std::string(32 - number.size(), '0') + number;
      message.mutable_poll();
      break;
    }
    case 1: {
      v1::SignResultRequest result;
      result.set_unit_id(unit_);
      result.set_assignment_id(assignment_);
      result.set_completed_at("2026-07-19T23:21:50.000123+00:00");
      result.set_canonical_payload("{\"n\":1}");
      result.set_schema_version(2);
      result.set_ran_under("strict");
      return Send(result);
    }
    case 2: {
      auto& submit = *message.mutable_submit_result();
      submit.set_unit_id(unit_);
      submit.set_assignment_id(assignment_);
      submit.set_body_sha256(std::string(32, 'b'));
      break;
    }
    default:
      message.mutable_fetch_receipt()->set_result_id("res-" + assignment_.substr(4));
  }
  Send(message);
}

// Both roles' stubs, a queue and the callers. `next` sends a caller's next call, or returns false when there is to be none.
void Run(const KeydProcess& keyd, int in_flight, const std::function<bool(Caller&)>& next) {
  const auto request = v1::RequestSigner::NewStub(ConnectTo(keyd.socket("request")));
  const auto result = v1::ResultSigner::NewStub(ConnectTo(keyd.socket("result")));
  grpc::CompletionQueue queue;
  std::vector<std::unique_ptr<Caller>> callers;
  int under_way = 0;
  for (int i = 0; i < in_flight; ++i) {
    callers.push_back(std::make_unique<Caller>(*request, *result, queue));
    under_way += next(*callers.back());
  }
  void* tag = nullptr;
  bool ok = false;
  while (under_way > 0 && queue.Next(&tag, &ok)) {
    auto& caller = *static_cast<Caller*>(tag);
    caller.ExpectSigned();
    --under_way;
    under_way += next(caller);
  }
}

}  // namespace

double PollRate(const KeydProcess& keyd, int in_flight, double seconds) {
  v1::SignRequestRequest poll;
  poll.mutable_poll();
  const auto start = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  uint64_t sent = 0;
  Run(keyd, in_flight, [&](Caller& caller) {
    if (elapsed() >= seconds) return false;
    ++sent;
    caller.Send(poll);
    return true;
  });
  return static_cast<double>(sent) / elapsed();
}

void UnitTraffic(const KeydProcess& keyd, int in_flight, uint64_t signatures, uint64_t step,
                 const std::function<void(uint64_t)>& look) {
  uint64_t sent = 0, units = 0;
  Run(keyd, in_flight, [&](Caller& caller) {
    if (sent > 0 && sent % step == 0) look(sent);
    if (sent >= signatures) return false;
    ++sent;
    caller.SendNextOfUnit(units);
    return true;
  });
}

}  // namespace auspex::bench
