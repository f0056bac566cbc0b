// SPDX-License-Identifier: AGPL-3.0-only
#include <algorithm>
#include <charconv>

#include "common/base/cat.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "common/log/log.h"
#include "coordd/assignment_store.h"
#include "coordd/body_reader.h"
#include "coordd/handlers.h"
#include "coordd/offer.h"
#include "coordd/reply.h"
#include "coordd/worker_store.h"

namespace auspex::coordd {
namespace {

constexpr int kMaxWaitSeconds = 60;

// The seconds of `Prefer: wait=N` (RFC 7240 section 4.3), at most kMaxWaitSeconds; nullopt without
// the preference.
std::optional<int> WaitPreference(const Request& request) {
  const std::string prefer = request.Header("prefer").value_or("");
  std::string_view rest = prefer;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(','), rest.size());
    std::string_view item = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    item = item.substr(0, item.find(';'));
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (!item.starts_with("wait=")) continue;
    item.remove_prefix(5);
    int seconds = 0;
    const auto [last, error] = std::from_chars(item.data(), item.data() + item.size(), seconds);
    if (error == std::errc() && last == item.data() + item.size() && seconds >= 0) {
      return std::min(seconds, kMaxWaitSeconds);
    }
  }
  return std::nullopt;
}

// Holds in the order of 7.1: quarantine before pause.
std::optional<Reply> CheckHolds(const WorkerRow& worker) {
  if (worker.quarantined_at) {
    return Error(423, "worker_quarantined", "this worker is quarantined",
                 {{"quarantined_at", DetailTime(*worker.quarantined_at)},
                  {"quarantine_reason",
                   worker.quarantine_reason ? JsonValue(*worker.quarantine_reason) : JsonValue()}});
  }
  if (worker.paused_at) {
    return Error(
        423, "worker_paused", "this worker is paused; it did nothing wrong",
        {{"paused_at", DetailTime(*worker.paused_at)},
         {"pause_reason", worker.pause_reason ? JsonValue(*worker.pause_reason) : JsonValue()},
         {"no_fault", true}});
  }
  return std::nullopt;
}

// The worker's own wish: no work and no reason for it (5.3).
bool HoldsItself(const JsonValue& capabilities) {
  const JsonValue* paused = capabilities.Find("self_paused");
  if (paused != nullptr && paused->as_bool() != nullptr && *paused->as_bool()) return true;
  const JsonValue* thermal = capabilities.Find("thermal");
  const std::string* state = thermal != nullptr ? thermal->FindString("state") : nullptr;
  return state != nullptr && *state == "critical";
}

Reply NoWork(const JsonValue& idle_reason) {
  return OkText(
      Cat("{\"assignment_id\":null,\"assigned_at\":null,\"experiment_id\":null,"
          "\"work_unit\":null,\"idle_reason\":",
          WriteCanonical(idle_reason), "}"));
}

// The payload is canonical JSON already and goes in as it is stored.
Reply Work(const Offer& offer, int64_t now) {
  return OkText(
      Cat("{\"assignment_id\":", CanonicalString(offer.assignment_id), ",\"assigned_at\":\"",
          ZuluTime(now), "\",\"experiment_id\":", CanonicalString(offer.experiment_id),
          ",\"work_unit\":{\"schema_version\":\"0.1\",\"unit_id\":", CanonicalString(offer.unit_id),
          ",\"tenant_id\":", CanonicalString(offer.tenant_id),
          ",\"experiment_id\":", CanonicalString(offer.label),
          ",\"manifest_sha256\":", CanonicalString(offer.manifest_sha256), ",\"created_at\":\"",
          ZuluTime(offer.created_at), "\",\"payload\":", offer.payload, "},\"idle_reason\":null}"));
}

// One try; sets `idle` when the answer is "no work".
Reply PollOnce(Services& services, const WorkerId& worker_id, int64_t now, bool& idle) {
  idle = false;
  const auto worker = FindWorker(services.db, worker_id);
  if (!worker || worker->retired_at) return Error(404, "worker_not_found", "no such worker");
  if (auto hold = CheckHolds(*worker)) return *std::move(hold);
  const auto capabilities = ReadJson(worker->capabilities);
  const JsonValue reported = capabilities.ok() ? *capabilities : JsonValue(JsonObject{});
  idle = true;
  if (HoldsItself(reported)) return NoWork(JsonValue());
  const OfferChoice choice = ChooseOffer(services, *worker, reported, now);
  if (!choice.offer) return NoWork(choice.idle_reason);
  idle = false;
  LogDebug("unit_offered",
           {{"worker", worker->worker_id}, {"assignment", choice.offer->assignment_id}});
  return Work(*choice.offer, now);
}

Reply PollWaiting(Services& services, const WorkerId& worker_id, std::optional<int> wait) {
  bool idle = false;
  Reply reply = PollOnce(services, worker_id, services.clock.NowMicros(), idle);
  if (!wait) return reply;
  reply.headers.emplace_back("Preference-Applied", Cat("wait=", *wait));
  if (!idle || *wait == 0) return reply;
  reply.wait_seconds = *wait;
  reply.again = [&services, worker_id, wait] { return PollWaiting(services, worker_id, wait); };
  return reply;
}

}  // namespace

Reply HandlePoll(Services& services, const Context& context) {
  return PollWaiting(services, context.PathId<WorkerId>(0), WaitPreference(context.request));
}

Reply HandleRefuse(Services& services, const Context& context) {
  BodyReader in(context.body, context.json_content_type);
  const auto kind = in.Text("kind", kRequired, 1, 64);
  const auto reason = in.Text("reason", kRequired, 0, 2048);
  const auto assignment_id = in.Text("assignment_id", kOptional, 0, 128);
  if (!in.ok()) return in.Refusal();
  const auto unit = context.PathId<UnitId>(1);
  const auto worker = FindWorker(services.db, context.PathId<WorkerId>(0));
  if (!worker) return Error(404, "worker_not_found", "no such worker");
  const auto assignment = FindAssignment(services.db, unit, worker->id, assignment_id);
  if (!assignment) return Error(404, "assignment_not_found", "no such assignment of this worker");
  if (assignment->result || assignment->refused_at) {
    return Error(
        409, "assignment_already_resolved", "the assignment has a result or is refused",
        {{"assignment_id", assignment->assignment_id},
         {"has_result", assignment->result.has_value()},
         {"already_refused_at",
          assignment->refused_at ? JsonValue(DetailTime(*assignment->refused_at)) : JsonValue()}});
  }
  RefuseAssignment(services, *assignment, *kind, *reason, IsRetryable(*kind, *reason), context.now);
  LogInfo("unit_refused", {{"worker", worker->worker_id},
                           {"assignment", assignment->assignment_id},
                           {"kind", Printable(*kind)}});
  return Ok(JsonObject{{"assignment_id", assignment->assignment_id},
                       {"unit_id", unit.str()},
                       {"refused_at", ZuluTime(context.now)},
                       {"refused_kind", *kind}});
}

}  // namespace auspex::coordd
