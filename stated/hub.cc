// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/hub.h"

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/log/log.h"
#include "stated/retention.h"

namespace auspex::stated {
namespace {

constexpr std::chrono::seconds kHousekeepingPeriod{60};

}  // namespace

absl::StatusOr<std::unique_ptr<Hub>> Hub::Open(const std::string& state_dir, const Clock& clock,
                                               Settings settings) {
  ASSIGN_OR_RETURN(std::unique_ptr<Database> db, Database::Open(state_dir + "/auspex.db", clock));
  std::unique_ptr<Hub> hub(new Hub(std::move(db), clock, std::move(settings), state_dir));
  RETURN_IF_ERROR(hub->packages_.Clean());
  RETURN_IF_ERROR(hub->work_.Requeue());
  RETURN_IF_ERROR(hub->outbox_.MendDueTimes());
  hub->housekeeping_ = std::thread([raw = hub.get()] { raw->HousekeepingLoop(); });
  return hub;
}

Hub::Hub(std::unique_ptr<Database> db, const Clock& clock, Settings settings,
         const std::string& state_dir)
    : db_(std::move(db)),
      context_{*db_, clock, changes_, std::move(settings)},
      enrolment_(context_),
      contact_(context_),
      intake_(context_),
      policy_(context_),
      work_(context_),
      outbox_(context_, [this](const std::string& manifest,
                               const std::string& why) { packages_.Fail(manifest, why); }),
      packages_(context_, outbox_, state_dir + "/spool") {}

Hub::~Hub() {
  Stop();
  if (housekeeping_.joinable()) housekeeping_.join();
  db_->Stop();
}

void Hub::Stop() {
  changes_.Stop();
  const std::lock_guard lock(housekeeping_mutex_);
  housekeeping_stop_ = true;
  housekeeping_wake_.notify_all();
}

void Hub::HousekeepingLoop() {
  std::unique_lock lock(housekeeping_mutex_);
  while (!housekeeping_wake_.wait_for(lock, kHousekeepingPeriod,
                                      [this] { return housekeeping_stop_; })) {
    lock.unlock();
    absl::Status status = PruneAll(context_);
    if (status.ok()) status = outbox_.MendDueTimes();
    if (!status.ok())
      LogWarning("housekeeping_failed", {{"reason", std::string(status.message())}});
    lock.lock();
  }
}

absl::StatusOr<StatusReport> Hub::StatusNow() {
  LiveState live;
  live.slots = work_.slots();
  live.netd_connected = netd_streams_ > 0;
  live.offline = contact_.Offline();
  live.thermal = capabilities_.thermal();
  // What an earlier runnerd said counts no more.
  if (live.slots > 0) live.condition = condition_.Get();
  return ComputeStatus(context_, live);
}

absl::StatusOr<std::string> Hub::CapabilitiesNow() {
  bool paused = false;
  RETURN_IF_ERROR(context_.db.Read([&](Connection& db) -> absl::Status {
    ASSIGN_OR_RETURN(const ContactRow contact, ReadContact(db));
    paused = contact.self_paused;
    return absl::OkStatus();
  }));
  return capabilities_.ForHeartbeat(paused);
}

void Hub::NetdConnected(bool connected) {
  netd_streams_ += connected ? 1 : -1;
  changes_.Notify({Topic::kStatus});
}

absl::Status Hub::Forget() {
  const absl::Status recreated = db_->Recreate();
  // Even when deleting failed half-way: what is in memory about the old rows is void.
  outbox_.Reset();
  work_.EndAll("the worker was withdrawn");
  packages_.Fail("", "the worker was withdrawn");
  contact_.Load();
  RETURN_IF_ERROR(recreated);
  RETURN_IF_ERROR(packages_.Clean());
  LogInfo("forgotten");
  changes_.Notify({Topic::kWork, Topic::kOutbox, Topic::kDemand, Topic::kStatus, Topic::kPackages});
  return absl::OkStatus();
}

}  // namespace auspex::stated
