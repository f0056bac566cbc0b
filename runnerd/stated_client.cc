// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/stated_client.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <set>
#include <utility>

#include "auspex/stated/v1/stated.grpc.pb.h"
#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/files/files.h"
#include "runnerd/rpc.h"

namespace auspex::runnerd {

namespace rpc = auspex::stated::v1;

struct StatedClient::State {
  State(std::shared_ptr<grpc::Channel> channel, double trouble)
      : work(rpc::Work::NewStub(std::move(channel))), trouble_seconds(trouble) {}
  const std::unique_ptr<rpc::Work::Stub> work;
  const double trouble_seconds;
  std::mutex mutex;
  bool reports_ended = false;
  std::set<grpc::ClientContext*> reports;  // under way
};

namespace {

// stated waits at most 15 minutes for a package.
constexpr double kFetchSeconds = 16 * 60;
// Short: the caller also watches the temperature.
constexpr double kReportSeconds = 3;
constexpr uint64_t kMaxArchive = 64 << 20;

// A finished unit is reported until stated has it. Only a unit that nobody wants any more, or the
// end of this process, stops that: what stated did not take by then runs again after the next start.
auto PauseForReport(RunControl& control) {
  return [&control](double seconds) { return control.WaitReportEnded(seconds); };
}

rpc::CompleteUnitRequest CompleteRequest(const Unit& unit, const SignedResult& done) {
  rpc::CompleteUnitRequest request;
  request.set_assignment_id(unit.assignment_id.str());
  request.set_completed_at(done.result.completed_at);
  request.set_exit_code(done.result.exit_code);
  request.set_canonical_payload(done.result.canonical_payload);
  request.set_schema_version(2);
  request.set_ran_under(done.result.ran_under);
  request.set_worker_pubkey(done.worker_pubkey);
  request.set_worker_signature(done.signature);
  request.set_result_sha256(done.result_sha256);
  if (done.result.raw_response) {
    request.set_raw_response(*done.result.raw_response);
    request.set_raw_signature(done.raw_signature);
  }
  return request;
}

}  // namespace

StatedClient::StatedClient(std::shared_ptr<grpc::Channel> channel)
    : StatedClient(std::move(channel), kTroubleSeconds) {}
StatedClient::StatedClient(std::shared_ptr<grpc::Channel> channel, double trouble_seconds)
    : state_(new State(std::move(channel), trouble_seconds)) {}
StatedClient::~StatedClient() = default;

absl::Status StatedClient::Begin(const Unit& unit, RunControl& control) {
  rpc::BeginUnitRequest request;
  request.set_assignment_id(unit.assignment_id.str());
  request.mutable_devices()->Assign(unit.devices.begin(), unit.devices.end());
  rpc::BeginUnitResponse answer;
  return CallUntilAnswered(
      "stated.BeginUnit",
      [&](grpc::ClientContext& context) {
        return state_->work->BeginUnit(&context, request, &answer);
      },
      [&control](double seconds) { return control.WaitRequested(seconds); }, kForEver);
}

absl::Status StatedClient::Complete(const Unit& unit, const SignedResult& result,
                                    RunControl& control) {
  const rpc::CompleteUnitRequest request = CompleteRequest(unit, result);
  rpc::CompleteUnitResponse answer;
  const auto complete = [&] {
    return CallUntilAnswered(
        "stated.CompleteUnit",
        [&](grpc::ClientContext& context) {
          return state_->work->CompleteUnit(&context, request, &answer);
        },
        PauseForReport(control), state_->trouble_seconds);
  };
  absl::Status status = complete();
  if (status.code() == absl::StatusCode::kFailedPrecondition && Begin(unit, control).ok())
    status = complete();
  return status;
}

absl::Status StatedClient::Refuse(const Unit& unit, const Refusal& refusal, RunControl& control) {
  rpc::RefuseUnitRequest request;
  request.set_assignment_id(unit.assignment_id.str());
  request.set_kind(std::string(RefusalWord(refusal.kind)));
  request.set_reason(refusal.reason);
  rpc::RefuseUnitResponse answer;
  return CallUntilAnswered(
      "stated.RefuseUnit",
      [&](grpc::ClientContext& context) {
        return state_->work->RefuseUnit(&context, request, &answer);
      },
      PauseForReport(control), kForEver);
}

absl::Status StatedClient::RefuseUnparsed(const std::string& assignment_id,
                                          const std::string& reason) {
  rpc::RefuseUnitRequest request;
  request.set_assignment_id(assignment_id);
  request.set_kind(std::string(RefusalWord(RefusalKind::kRunnerFailed)));
  request.set_reason(reason);
  rpc::RefuseUnitResponse answer;
  grpc::ClientContext context;
  SetDeadline(context, kRpcSeconds);
  return FromGrpc(state_->work->RefuseUnit(&context, request, &answer), "stated.RefuseUnit");
}

template <typename Call>
absl::Status StatedClient::Report(std::string_view what, Call call) {
  grpc::ClientContext context;
  SetDeadline(context, kReportSeconds);
  context.set_wait_for_ready(true);
  {
    std::lock_guard lock(state_->mutex);
    // A context that is cancelled before its call is made ends that call at once.
    if (state_->reports_ended) context.TryCancel();
    state_->reports.insert(&context);
  }
  const grpc::Status status = call(context);
  std::lock_guard lock(state_->mutex);
  state_->reports.erase(&context);
  return FromGrpc(status, what);
}

absl::Status StatedClient::ReportCapabilities(const std::string& canonical_json) {
  rpc::Capabilities request;
  request.set_canonical_json(canonical_json);
  rpc::ReportCapabilitiesResponse answer;
  return Report("stated.ReportCapabilities", [&](grpc::ClientContext& context) {
    return state_->work->ReportCapabilities(&context, request, &answer);
  });
}

absl::Status StatedClient::ReportCondition(const Condition& condition) {
  rpc::Condition request;
  request.set_strain(condition.strain);
  request.set_reason(condition.reason);
  request.set_slots(static_cast<uint32_t>(condition.slots));
  request.set_frozen(static_cast<uint32_t>(condition.frozen));
  request.mutable_gpu_devices()->Assign(condition.gpu_devices.begin(), condition.gpu_devices.end());
  request.mutable_gpu_tenants()->Assign(condition.gpu_tenants.begin(), condition.gpu_tenants.end());
  rpc::ReportConditionResponse answer;
  return Report("stated.ReportCondition", [&](grpc::ClientContext& context) {
    return state_->work->ReportCondition(&context, request, &answer);
  });
}

void StatedClient::EndReports() {
  std::lock_guard lock(state_->mutex);
  state_->reports_ended = true;
  for (grpc::ClientContext* context : state_->reports) context->TryCancel();
}

absl::Status StatedClient::Fetch(const Sha256Hex& manifest_sha256, int fd, RunControl& control) {
  for (double delay = 0.02;; delay = std::min(delay * 2, 1.0)) {
    const absl::Status status = FetchOnce(manifest_sha256, fd, control);
    // NOT_FOUND is stated's word that it cannot be had. One that went away meanwhile is asked
    // again, from the start.
    const bool again =
        status.code() != absl::StatusCode::kDeadlineExceeded && IsPassing(status.code());
    if (status.ok() || !again || control.WaitRequested(delay)) return status;
    if (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0)
      return ErrnoStatus(errno, "empty", "archive spool");
  }
}

absl::Status StatedClient::FetchOnce(const Sha256Hex& manifest_sha256, int fd,
                                     RunControl& control) {
  grpc::ClientContext context;
  SetDeadline(context, kFetchSeconds);
  const int key = control.AddCancel([&context] { context.TryCancel(); });
  rpc::GetPackageRequest request;
  request.set_manifest_sha256(manifest_sha256.str());
  auto stream = state_->work->GetPackage(&context, request);
  rpc::PackageChunk chunk;
  uint64_t size = 0;
  absl::Status stored;
  while (stored.ok() && stream->Read(&chunk)) {
    size += chunk.chunk().size();
    stored = size > kMaxArchive
                 ? absl::OutOfRangeError(Cat("the archive is larger than ", kMaxArchive, " octets"))
                 : WriteAll(fd, chunk.chunk(), "archive spool");
  }
  if (!stored.ok()) context.TryCancel();
  const absl::Status status = FromGrpc(stream->Finish(), "stated.GetPackage");
  control.RemoveCancel(key);
  return stored.ok() ? status : stored;
}

void StatedClient::Drop(const Sha256Hex& manifest_sha256) {
  rpc::GetPackageRequest request;
  request.set_manifest_sha256(manifest_sha256.str());
  rpc::DropPackageResponse answer;
  grpc::ClientContext context;
  SetDeadline(context, kRpcSeconds);
  // What stays in the spool is found again, or cleared by stated in its time.
  state_->work->DropPackage(&context, request, &answer);
}

}  // namespace auspex::runnerd
