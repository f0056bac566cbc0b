// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/stated_client.h"

#include <algorithm>
#include <utility>

#include "auspex/stated/v1/stated.grpc.pb.h"
#include "common/base/status_macros.h"
#include "netd/rpc.h"

namespace auspex {
namespace {

using stated::v1::Intake;
using stated::v1::Outbox;

constexpr size_t kChunk = 256 * 1024;
constexpr double kUploadSeconds = 900;

class Upload final : public StatedClient::PackageUpload {
 public:
  Upload(Outbox::Stub& stub, uint64_t item_id, std::stop_token stop)
      : cancel_(std::move(stop), Canceller{&context_}), item_id_(item_id) {
    SetDeadline(context_, kUploadSeconds);
    context_.set_wait_for_ready(true);
    writer_ = stub.PutPackage(&context_, &response_);
  }
  ~Upload() override {
    if (finished_) return;
    context_.TryCancel();
    writer_->Finish().ok();  // The end of a cancelled call; there is nothing to learn from it.
  }

  absl::Status Write(std::string_view octets) override {
    while (!octets.empty()) {
      const size_t size = std::min(octets.size(), kChunk);
      RETURN_IF_ERROR(Send(octets.substr(0, size)));
      octets.remove_prefix(size);
    }
    return absl::OkStatus();
  }

  absl::Status Finish() override {
    if (first_) RETURN_IF_ERROR(Send({}));  // An empty package is stated's to judge.
    finished_ = true;
    writer_->WritesDone();
    return FromGrpc(writer_->Finish(), "stated.PutPackage");
  }

 private:
  struct Canceller {
    grpc::ClientContext* context;
    void operator()() const { context->TryCancel(); }
  };

  absl::Status Send(std::string_view piece) {
    stated::v1::PutPackageRequest request;
    if (first_) request.set_id(item_id_);
    first_ = false;
    request.set_chunk(std::string(piece));
    if (writer_->Write(request)) return absl::OkStatus();
    // A refused write says only that the call is over; its status says why.
    finished_ = true;
    absl::Status status = FromGrpc(writer_->Finish(), "stated.PutPackage");
    return status.ok() ? absl::UnavailableError("stated.PutPackage: ended early") : status;
  }

  grpc::ClientContext context_;
  std::stop_callback<Canceller> cancel_;
  stated::v1::SettleResponse response_;
  std::unique_ptr<grpc::ClientWriter<stated::v1::PutPackageRequest>> writer_;
  const uint64_t item_id_;
  bool first_ = true;
  bool finished_ = false;
};

}  // namespace

struct StatedClient::State {
  explicit State(const std::string& path)
      : channel(ConnectTo(path)),
        intake(Intake::NewStub(channel)),
        outbox(Outbox::NewStub(channel)) {}
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<Intake::Stub> intake;
  std::unique_ptr<Outbox::Stub> outbox;
};

StatedClient::StatedClient(const std::string& socket_path)
    : state_(std::make_unique<State>(socket_path)) {}
StatedClient::~StatedClient() = default;

absl::StatusOr<stated::v1::Identity> StatedClient::GetIdentity(std::stop_token stop) {
  stated::v1::Identity out;
  RETURN_IF_ERROR(
      RunRpc("stated.GetIdentity", kRpcSeconds, std::move(stop), [&](grpc::ClientContext& context) {
        return state_->intake->GetIdentity(&context, {}, &out);
      }));
  return out;
}

absl::Status StatedClient::RecordEnrolment(const stated::v1::RecordEnrolmentRequest& request,
                                           std::stop_token stop) {
  stated::v1::RecordEnrolmentResponse out;
  return RunRpc("stated.RecordEnrolment", kRpcSeconds, std::move(stop),
                [&](grpc::ClientContext& context) {
                  return state_->intake->RecordEnrolment(&context, request, &out);
                });
}

absl::Status StatedClient::RecordBinding(const stated::v1::RecordBindingRequest& request,
                                         std::stop_token stop) {
  stated::v1::RecordBindingResponse out;
  return RunRpc("stated.RecordBinding", kRpcSeconds, std::move(stop),
                [&](grpc::ClientContext& context) {
                  return state_->intake->RecordBinding(&context, request, &out);
                });
}

absl::StatusOr<std::string> StatedClient::GetCapabilities(std::stop_token stop) {
  stated::v1::Capabilities out;
  RETURN_IF_ERROR(RunRpc("stated.GetCapabilities", kRpcSeconds, std::move(stop),
                         [&](grpc::ClientContext& context) {
                           return state_->intake->GetCapabilities(&context, {}, &out);
                         }));
  if (out.canonical_json().empty() || out.canonical_json().front() != '{') {
    return absl::InternalError("stated.GetCapabilities: no object came back");
  }
  return std::move(*out.mutable_canonical_json());
}

absl::Status StatedClient::RecordHeartbeat(const stated::v1::RecordHeartbeatRequest& request,
                                           std::stop_token stop) {
  stated::v1::RecordHeartbeatResponse out;
  return RunRpc("stated.RecordHeartbeat", kRpcSeconds, std::move(stop),
                [&](grpc::ClientContext& context) {
                  return state_->intake->RecordHeartbeat(&context, request, &out);
                });
}

absl::Status StatedClient::RecordPoll(const stated::v1::RecordPollRequest& request,
                                      std::stop_token stop) {
  stated::v1::RecordPollResponse out;
  return RunRpc("stated.RecordPoll", kRpcSeconds, std::move(stop),
                [&](grpc::ClientContext& context) {
                  return state_->intake->RecordPoll(&context, request, &out);
                });
}

absl::StatusOr<stated::v1::OfferResponse> StatedClient::Offer(
    const stated::v1::OfferRequest& request, std::stop_token stop) {
  stated::v1::OfferResponse out;
  RETURN_IF_ERROR(
      RunRpc("stated.Offer", kRpcSeconds, std::move(stop), [&](grpc::ClientContext& context) {
        return state_->intake->Offer(&context, request, &out);
      }));
  return out;
}

absl::StatusOr<stated::v1::Demand> StatedClient::GetDemand(std::stop_token stop) {
  stated::v1::Demand out;
  bool has_demand = false;
  absl::Status status =
      RunRpc("stated.WatchDemand", kRpcSeconds, std::move(stop), [&](grpc::ClientContext& context) {
        auto reader = state_->intake->WatchDemand(&context, {});
        has_demand = reader->Read(&out);
        context.TryCancel();
        return reader->Finish();
      });
  if (has_demand) return out;
  return status.ok() ? absl::UnavailableError("stated.WatchDemand: ended at once") : status;
}

absl::Status StatedClient::Settle(const stated::v1::SettleRequest& request, std::stop_token stop) {
  stated::v1::SettleResponse out;
  const double seconds = stop.stop_requested() ? 0.5 : kRpcSeconds;
  return RunRpc("stated.Settle", seconds, {}, [&](grpc::ClientContext& context) {
    return state_->outbox->Settle(&context, request, &out);
  });
}

absl::Status StatedClient::WatchDemand(std::stop_token stop,
                                       const std::function<bool(const stated::v1::Demand&)>& take) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  auto reader = state_->intake->WatchDemand(&context, {});
  stated::v1::Demand demand;
  while (reader->Read(&demand) && take(demand)) {
  }
  context.TryCancel();
  return FromGrpc(reader->Finish(), "stated.WatchDemand");
}

absl::Status StatedClient::WatchOutbox(std::stop_token stop,
                                       const std::function<bool(stated::v1::OutboxItem)>& take) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  auto reader = state_->outbox->WatchOutbox(&context, {});
  stated::v1::OutboxItem item;
  while (reader->Read(&item) && take(std::move(item))) item.Clear();
  context.TryCancel();
  return FromGrpc(reader->Finish(), "stated.WatchOutbox");
}

std::unique_ptr<StatedClient::PackageUpload> StatedClient::StartPackage(uint64_t item_id,
                                                                        std::stop_token stop) {
  return std::make_unique<Upload>(*state_->outbox, item_id, std::move(stop));
}

}  // namespace auspex
