// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/work_loop.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "auspex/stated/v1/stated.grpc.pb.h"
#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/ipc/channel.h"
#include "common/json/canonical.h"
#include "common/log/log.h"
#include "runnerd/executor_output.h"
#include "runnerd/rpc.h"

namespace auspex::runnerd {

namespace rpc = auspex::stated::v1;

namespace {

// Every text of a hand-out as its type. stated has parsed them before; nothing here leans on that.
absl::StatusOr<Unit> ParseUnit(const rpc::RunUnit& item) {
  ASSIGN_OR_RETURN(AssignmentId assignment_id, AssignmentId::Parse(item.assignment_id()));
  ASSIGN_OR_RETURN(UnitId unit_id, UnitId::Parse(item.unit_id()));
  ASSIGN_OR_RETURN(TenantId tenant_id, TenantId::Parse(item.tenant_id()));
  ASSIGN_OR_RETURN(ExperimentLabel label, ExperimentLabel::Parse(item.experiment_label()));
  ASSIGN_OR_RETURN(Sha256Hex manifest, Sha256Hex::Parse(item.manifest_sha256()));
  if (!ParseIsoTime(item.created_at()))
    return absl::InvalidArgumentError("created_at: is no ISO 8601 timestamp");
  JsonLimits limits;
  limits.max_octets = kMaxCanonicalPayload;
  RETURN_IF_ERROR(CheckCanonicalObject(item.canonical_payload(), limits));
  return Unit{std::move(assignment_id), std::move(unit_id),        std::move(tenant_id),
              std::move(label),         std::move(manifest),       item.created_at(),
              item.canonical_payload(), item.sensitive_accepted(), {}};
}

// Whether stated says that the unit is not, or no more, this worker's to run.
bool IsUnwanted(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsFailedPrecondition(status);
}

}  // namespace

struct WorkLoop::Stream {
  explicit Stream(std::shared_ptr<grpc::Channel> channel)
      : work(rpc::Work::NewStub(std::move(channel))) {}
  std::unique_ptr<rpc::Work::Stub> work;
  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;
  grpc::ClientContext* open = nullptr;  // of the stream that is being read
  std::thread reader;
};

WorkLoop::WorkLoop(std::shared_ptr<grpc::Channel> channel, StatedClient& stated,
                   UnitPipeline& pipeline, int slots, std::function<void()> on_open)
    : stated_(stated),
      pipeline_(pipeline),
      on_open_(std::move(on_open)),
      stream_(new Stream(std::move(channel))),
      slots_(slots, [this](const Unit& unit, RunControl& control) { RunUnit(unit, control); }) {}

WorkLoop::~WorkLoop() { Stop(0); }

void WorkLoop::Start() {
  stream_->reader = std::thread([this] { ReadForEver(); });
}

void WorkLoop::Stop(double grace_seconds) {
  slots_.Stop(grace_seconds);
  {
    std::lock_guard lock(stream_->mutex);
    stream_->stopping = true;
    if (stream_->open != nullptr) stream_->open->TryCancel();
    stream_->changed.notify_all();
  }
  if (stream_->reader.joinable()) stream_->reader.join();
}

void WorkLoop::ReadForEver() {
  constexpr double kFirstDelay = 0.02, kLongestDelay = 1;
  bool told = false;  // that stated is away; once is enough
  for (double delay = kFirstDelay;;) {
    grpc::ClientContext context;
    {
      std::lock_guard lock(stream_->mutex);
      if (stream_->stopping) return;
      stream_->open = &context;
    }
    rpc::WatchWorkRequest request;
    request.set_slots(static_cast<uint32_t>(slots_.count()));
    auto reader = stream_->work->WatchWork(&context, request);
    on_open_();
    rpc::WorkItem item;
    bool first = true;
    while (reader->Read(&item)) {
      if (std::exchange(first, false)) {
        delay = kFirstDelay;
        told = false;
      }
      if (item.has_end()) {
        LogInfo("unit_withdrawn",
                {{"assignment", item.end().assignment_id()}, {"reason", item.end().reason()}});
        slots_.End(item.end().assignment_id(), EndReason::kEnded);
      } else if (item.has_run()) {
        absl::StatusOr<Unit> unit = ParseUnit(item.run());
        if (unit.ok()) {
          unit->devices = pipeline_.DevicesFor(*unit);
          slots_.Add(*std::move(unit));
        } else {
          const absl::Status refused = stated_.RefuseUnparsed(
              item.run().assignment_id(), Cat("unit: ", std::string(unit.status().message())));
          // On another stream it is handed out once more.
          if (IsPassing(refused.code())) {
            delay = kLongestDelay;
            context.TryCancel();
          }
        }
      }
    }
    const grpc::Status status = reader->Finish();
    std::unique_lock lock(stream_->mutex);
    stream_->open = nullptr;
    if (stream_->stopping) return;
    if (!std::exchange(told, true))
      LogWarning("work_stream_ended", {{"why", status.error_message()}});
    stream_->changed.wait_for(lock, std::chrono::duration<double>(delay),
                              [this] { return stream_->stopping; });
    delay = std::min(delay * 2, kLongestDelay);
  }
}

void WorkLoop::RunUnit(const Unit& unit, RunControl& control) {
  const int64_t began = Clock::System().MonotonicMicros();
  const absl::Status begun = stated_.Begin(unit, control);
  if (IsUnwanted(begun)) {
    LogInfo("unit_dropped", {{"unit", unit.unit_id.str()}, {"why", std::string(begun.message())}});
    return;
  }
  // Whatever else happens, stated must hear of it: it has the unit in hand, and a slot with it. Where the unit was ended before stated answered,
  // the pipeline says what that means.
  UnitOutcome outcome = Refusal{RefusalKind::kRunnerFailed, "the worker could not begin the unit"};
  if (begun.ok() || control.requested()) {
    outcome = pipeline_.Run(unit, control);
  } else {
    control.Finish();
    LogError("unit_not_begun",
             {{"unit", unit.unit_id.str()}, {"why", std::string(begun.message())}});
  }
  absl::Status reported;
  std::string what = "withdrawn";
  if (const auto* result = std::get_if<SignedResult>(&outcome)) {
    what = "completed";
    reported = stated_.Complete(unit, *result, control);
    if (!reported.ok() && !IsUnwanted(reported) && !control.WaitReportEnded(0)) {
      // What stated cannot store is nobody's: the coordinator must hear that it will not come.
      what = RefusalWord(RefusalKind::kRunnerFailed);
      LogError("result_not_stored",
               {{"unit", unit.unit_id.str()}, {"why", std::string(reported.message())}});
      reported = stated_.Refuse(
          unit, {RefusalKind::kRunnerFailed, "the worker could not store the result"}, control);
    }
  } else if (const auto* refusal = std::get_if<Refusal>(&outcome)) {
    what = RefusalWord(refusal->kind);
    LogWarning("unit_refused",
               {{"unit", unit.unit_id.str()}, {"kind", what}, {"reason", refusal->reason}});
    reported = stated_.Refuse(unit, *refusal, control);
  }
  LogInfo("unit_done", {{"unit", unit.unit_id.str()},
                        {"assignment", unit.assignment_id.str()},
                        {"outcome", what},
                        {"micros", Clock::System().MonotonicMicros() - began}});
  if (!reported.ok()) {
    LogWarning("unit_not_wanted",
               {{"unit", unit.unit_id.str()}, {"why", std::string(reported.message())}});
  }
}

}  // namespace auspex::runnerd
