// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/journal_client.h"

#include <mutex>

#include "auspex/keyd/v1/keyd.grpc.pb.h"
#include "common/ipc/channel.h"

namespace auspex::cli {
namespace {
constexpr double kSeconds = 15;       // of a call that answers at once
constexpr double kListSeconds = 300;  // of one that reads a whole journal
}  // namespace

struct JournalClient::Parts {
  std::unique_ptr<keyd_v1::KeyOwner::Stub> stub;
  std::mutex mutex;
  grpc::ClientContext* running = nullptr;  // of the List under way
  bool stopped = false;
};

JournalClient::JournalClient(const Layout& layout) : parts_(std::make_unique<Parts>()) {
  parts_->stub = keyd_v1::KeyOwner::NewStub(ConnectTo(layout.Socket("keyd", "owner")));
}

JournalClient::~JournalClient() = default;

absl::Status JournalClient::List(uint64_t first, bool follow,
                                 const std::function<bool(const keyd_v1::JournalRecord&)>& visit) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  if (!follow) SetDeadline(context, kListSeconds);
  {
    std::lock_guard lock(parts_->mutex);
    if (parts_->stopped) return absl::CancelledError("keyd.ListJournal: stopped");
    parts_->running = &context;
  }
  keyd_v1::ListJournalRequest request;
  request.set_first_sequence(first);
  request.set_follow(follow);
  const auto reader = parts_->stub->ListJournal(&context, request);
  keyd_v1::JournalRecord record;
  bool enough = false;
  while (!enough && reader->Read(&record)) enough = !visit(record);
  if (enough) context.TryCancel();
  const grpc::Status status = reader->Finish();
  std::lock_guard lock(parts_->mutex);
  parts_->running = nullptr;
  if (enough) return absl::OkStatus();
  if (parts_->stopped) return absl::CancelledError("keyd.ListJournal: stopped");
  return FromGrpc(status, "keyd.ListJournal");
}

void JournalClient::Stop() {
  std::lock_guard lock(parts_->mutex);
  parts_->stopped = true;
  if (parts_->running != nullptr) parts_->running->TryCancel();
}

absl::StatusOr<keyd_v1::SignCheckpointResponse> JournalClient::SignCheckpoint() {
  grpc::ClientContext context;
  SetDeadline(context, kSeconds);
  context.set_wait_for_ready(true);
  keyd_v1::SignCheckpointResponse response;
  const grpc::Status status =
      parts_->stub->SignCheckpoint(&context, keyd_v1::SignCheckpointRequest(), &response);
  if (!status.ok()) return FromGrpc(status, "keyd.SignCheckpoint");
  return response;
}

}  // namespace auspex::cli
