// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/outbox_sender.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "common/base/clock.h"
#include "common/crypto/sha256.h"
#include "common/log/log.h"
#include "netd/outbox_answer.h"
#include "netd/sleep.h"

namespace auspex {
namespace {

using stated::v1::OutboxItem;
using stated::v1::SettleRequest;

constexpr size_t kMaxQueued = 32;
constexpr size_t kMaxQueuedOctets = 4 * 1024 * 1024;
constexpr uint64_t kMaxPackageOctets = 64 * 1024 * 1024;
constexpr HttpLimits kSubmitLimits = {.total_seconds = 120, .max_body_octets = kMaxSmallAnswer};

bool IsUrgent(const OutboxItem& item) { return item.has_send_result() || item.has_send_refusal(); }

// What the log calls the item, and what it is about.
std::string_view WorkWord(const OutboxItem& item) {
  switch (item.work_case()) {
    case OutboxItem::kSendResult:
      return "result";
    case OutboxItem::kSendRefusal:
      return "refusal";
    case OutboxItem::kFetchReceipt:
      return "receipt";
    case OutboxItem::kFetchPackage:
      return "package";
    case OutboxItem::WORK_NOT_SET:
      break;
  }
  return "nothing";
}

std::string Subject(const OutboxItem& item) {
  if (item.has_send_result()) return item.send_result().assignment_id();
  if (item.has_send_refusal()) return item.send_refusal().assignment_id();
  if (item.has_fetch_receipt()) return item.fetch_receipt().result_id();
  return item.fetch_package().manifest_sha256();
}

keyd::v1::SignRequestRequest IntentOf(const OutboxItem& item) {
  keyd::v1::SignRequestRequest intent;
  if (item.has_send_result()) {
    auto* submit = intent.mutable_submit_result();
    submit->set_unit_id(item.send_result().unit_id());
    submit->set_assignment_id(item.send_result().assignment_id());
    submit->set_body_sha256(Sha256(item.send_result().body()));
  } else if (item.has_send_refusal()) {
    auto* refuse = intent.mutable_refuse();
    refuse->set_unit_id(item.send_refusal().unit_id());
    refuse->set_assignment_id(item.send_refusal().assignment_id());
    refuse->set_body_sha256(Sha256(item.send_refusal().body()));
  } else if (item.has_fetch_receipt()) {
    intent.mutable_fetch_receipt()->set_result_id(item.fetch_receipt().result_id());
  } else {
    intent.mutable_fetch_package()->set_manifest_sha256(item.fetch_package().manifest_sha256());
  }
  return intent;
}

std::string BodyOf(const OutboxItem& item) {
  if (item.has_send_result()) return item.send_result().body();
  if (item.has_send_refusal()) return item.send_refusal().body();
  return "";
}

// keyd said no. Two kinds of no are for good: it will never sign a second result for an assignment,
// nor a field that is not of its kind. Two others are about this machine (more than the owner's
// rates allow; a clock that was set back, no enrolment yet) and use up none of the item's attempts.
SettleRequest SettleUnsigned(const absl::Status& status) {
  const std::string text(status.message());
  if (absl::IsAlreadyExists(status)) return SettleTerminal("equivocation", text);
  if (absl::IsInvalidArgument(status)) return SettleTerminal("unsignable", text);
  if (absl::IsResourceExhausted(status) || absl::IsFailedPrecondition(status)) {
    SettleRequest later;
    later.mutable_held()->set_text(text);
    return later;
  }
  return SettleTransient(text);
}

}  // namespace

bool OutboxSender::Enqueue(OutboxItem item, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  const size_t octets = item.ByteSizeLong();
  const bool has_room = changed_.wait(lock, stop, [&] {
    const size_t count = urgent_.size() + background_.size();
    return count == 0 || (count < kMaxQueued && queued_octets_ + octets <= kMaxQueuedOctets);
  });
  if (!has_room) return false;
  const auto same = [&item](const OutboxItem& other) { return other.id() == item.id(); };
  Queue& queue = IsUrgent(item) ? urgent_ : background_;
  if (under_way_.contains(item.id()) || std::any_of(queue.begin(), queue.end(), same)) return true;
  queued_octets_ += octets;
  queue.push_back(std::move(item));
  changed_.notify_all();
  return true;
}

void OutboxSender::DropQueued() {
  std::lock_guard lock(mutex_);
  urgent_.clear();
  background_.clear();
  queued_octets_ = 0;
  changed_.notify_all();
}

bool OutboxSender::Idle() const {
  std::lock_guard lock(mutex_);
  return urgent_.empty() && background_.empty() && busy_ == 0;
}

bool OutboxSender::Take(std::stop_token stop, OutboxItem& item) {
  std::unique_lock lock(mutex_);
  const int most_background = std::max(1, options_.threads - 1);
  const auto background_may = [&] {
    return !background_.empty() && background_busy_ < most_background;
  };
  if (!changed_.wait(lock, stop, [&] { return !urgent_.empty() || background_may(); }))
    return false;
  if (stop.stop_requested()) return false;
  const bool is_urgent = !urgent_.empty();
  Queue& queue = is_urgent ? urgent_ : background_;
  item = std::move(queue.front());
  queue.pop_front();
  queued_octets_ -= std::min(queued_octets_, item.ByteSizeLong());
  under_way_.insert(item.id());
  ++busy_;
  if (!is_urgent) ++background_busy_;
  changed_.notify_all();
  return true;
}

void OutboxSender::Run(std::stop_token stop) {
  OutboxItem item;
  while (Take(stop, item)) {
    SettleRequest outcome = Process(item, stop);
    {
      // From here on the item may come again by right: stated may send it as the next attempt
      // before its answer to Settle is read.
      std::lock_guard lock(mutex_);
      under_way_.erase(item.id());
    }
    if (outcome.outcome_case() != SettleRequest::OUTCOME_NOT_SET) {
      outcome.set_id(item.id());
      Settle(std::move(outcome), stop);
    }
    {
      std::lock_guard lock(mutex_);
      --busy_;
      if (!IsUrgent(item)) --background_busy_;
    }
    changed_.notify_all();
    item.Clear();
  }
}

SettleRequest OutboxSender::Process(const OutboxItem& item, std::stop_token stop) {
  if (item.work_case() == OutboxItem::WORK_NOT_SET) return {};
  SettleRequest outcome =
      item.has_fetch_package() ? FetchPackage(item, stop) : Exchange(item, stop);
  if (outcome.outcome_case() == SettleRequest::OUTCOME_NOT_SET) return outcome;
  const std::string& error = outcome.has_transient()  ? outcome.transient().text()
                             : outcome.has_terminal() ? outcome.terminal().text()
                                                      : outcome.held().text();
  // A receipt that is not there yet is the ordinary case.
  const bool is_trouble = outcome.has_terminal() ||
                          (outcome.has_transient() && !item.has_fetch_receipt()) ||
                          outcome.has_held();
  Log(is_trouble ? LogLevel::kWarning : LogLevel::kInfo, "outbox",
      {{"work", WorkWord(item)},
       {"subject", Subject(item)},
       {"attempt", item.attempt()},
       {"outcome", OutcomeWord(outcome)},
       {"error", error}});
  return outcome;
}

SettleRequest OutboxSender::Exchange(const OutboxItem& item, std::stop_token stop) {
  absl::StatusOr<keyd::v1::SignedRequest> request = coordinator_.Sign(IntentOf(item), stop);
  if (!request.ok())
    return stop.stop_requested() ? SettleRequest() : SettleUnsigned(request.status());
  absl::StatusOr<HttpResponse> response =
      coordinator_.Send(*request, BodyOf(item), kSubmitLimits, stop);
  if (!response.ok()) {
    return stop.stop_requested() ? SettleRequest()
                                 : SettleTransient(std::string(response.status().message()));
  }
  const int64_t now = Clock::System().NowSeconds();
  if (item.has_send_result()) return SettleResult(*response, item.attempt(), now);
  if (item.has_send_refusal()) return SettleRefusal(*response, now);
  return SettleReceipt(*response, now);
}

SettleRequest OutboxSender::FetchPackage(const OutboxItem& item, std::stop_token stop) {
  absl::StatusOr<keyd::v1::SignedRequest> request = coordinator_.Sign(IntentOf(item), stop);
  if (!request.ok())
    return stop.stop_requested() ? SettleRequest() : SettleUnsigned(request.status());

  std::unique_ptr<StatedClient::PackageUpload> upload;
  absl::Status upload_status;
  const HttpSink sink = [&](std::string_view octets) {
    if (upload == nullptr) upload = stated_.StartPackage(item.id(), stop);
    upload_status = upload->Write(octets);
    return upload_status;
  };
  const HttpLimits limits{.total_seconds = options_.package_seconds,
                          .max_body_octets = kMaxPackageOctets};
  absl::StatusOr<HttpResponse> response = coordinator_.Send(*request, "", limits, stop, {}, sink);
  if (stop.stop_requested()) return {};
  if (response.ok() && response->status == 200) {
    if (upload == nullptr) upload = stated_.StartPackage(item.id(), stop);
    upload_status = upload->Finish();
    if (upload_status.ok()) {
      LogInfo("outbox", {{"work", "package"},
                         {"subject", Subject(item)},
                         {"attempt", item.attempt()},
                         {"outcome", "fetched"}});
      return {};
    }
  }
  upload.reset();  // Cancels an upload that is not whole.
  // A stop may have ended it: then it comes again with the next stream.
  if (stop.stop_requested()) return {};
  if (!upload_status.ok()) {
    // One that was started again knows the item no more, which does no harm; any other has it in flight until it hears of it.
    if (absl::IsUnavailable(upload_status) || absl::IsCancelled(upload_status))
      return SettleTransient(std::string(upload_status.message()));
    return SettleTerminal("package_unavailable", std::string(upload_status.message()));
  }
  if (!response.ok())
    return SettleTerminal("package_unavailable", std::string(response.status().message()));
  return SettleTerminal("package_unavailable", Describe(*response, ReadError(*response)));
}

void OutboxSender::Settle(SettleRequest request, std::stop_token stop) {
  double pause = 0.1;
  while (true) {
    absl::Status status = stated_.Settle(request, stop);
    if (status.ok() || absl::IsNotFound(status)) return;
    if (absl::IsInvalidArgument(status) && !request.has_transient()) {
      // stated does not take the outcome (a field that it is stricter about): the item must not
      // stay without one.
      const uint64_t id = request.id();
      request = SettleTransient(std::string(status.message()));
      request.set_id(id);
      continue;
    }
    if (stop.stop_requested()) return;
    LogWarning("settle_failed", {{"item", request.id()}, {"error", std::string(status.message())}});
    if (absl::IsInvalidArgument(status) || absl::IsFailedPrecondition(status)) return;
    if (!SleepUnlessStopped(stop, pause)) return;
    pause = std::min(pause * 2, 2.0);
  }
}

}  // namespace auspex
