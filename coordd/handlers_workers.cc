// SPDX-License-Identifier: AGPL-3.0-only
#include "common/json/canonical.h"
#include "common/log/log.h"
#include "coordd/body_reader.h"
#include "coordd/handlers.h"
#include "coordd/random_ids.h"
#include "coordd/reply.h"
#include "coordd/request_verifier.h"
#include "coordd/worker_store.h"

namespace auspex::coordd {
namespace {

constexpr int64_t kHourMicros = 3'600'000'000;
// Capabilities are read again at each poll, a held one included, so that large ones would be paid
// for by everybody else. A worker that lists a thousand models stays below this.
constexpr size_t kMaxReportOctets = 128 * 1024;

// The canonical text of `object`, nullopt when it is null; a problem is added when it is too long.
std::optional<std::string> ReportText(BodyReader& in, const char* name, const JsonObject* object) {
  if (object == nullptr) return std::nullopt;
  std::string text = WriteCanonical(*object);
  if (text.size() > kMaxReportOctets) {
    in.Fail(name, "Input should have at most 131072 octets", "too_long");
  }
  return text;
}

// Whether this enrolment carries a valid signature by the very key that it enrols (5.1, behind a
// switch).
bool SignedByItself(const Context& context, const PublicKeyHex& pubkey) {
  if (!context.request.Header("signature-input") || !context.request.Header("signature"))
    return false;
  const auto verified = VerifyRequest(context.request, context.now, [&](const std::string& keyid) {
    return keyid == pubkey.str();
  });
  return std::holds_alternative<VerifiedSignature>(verified);
}

Reply EnrollView(const WorkerRow& worker) {
  return Ok(JsonObject{{"worker_id", worker.worker_id},
                       {"trust_tier", worker.tier},
                       {"registered_at", ZuluTime(worker.registered_at)}},
            201);
}

// The newest release of the channel "worker", as the heartbeat tells it.
std::optional<JsonObject> LatestRelease(Database& db) {
  Rows rows = db.Query(
      "SELECT version, headline, release_url, published_at FROM releases WHERE channel = 'worker'"
      " ORDER BY published_at DESC, rowid DESC LIMIT 1");
  if (!rows.Next()) return std::nullopt;
  JsonObject out{{"version", rows.Text(0)},
                 {"channel", "worker"},
                 {"headline", rows.Text(1)},
                 {"published_at", DetailTime(rows.Int(3))}};
  const auto url = rows.MaybeText(2);
  out.emplace("release_url", url ? JsonValue(*url) : JsonValue());
  return out;
}

// {model: {bytes_downloaded, total_bytes}}: integers, the latter may be null.
void CheckDownloads(BodyReader& in, const JsonObject* downloads) {
  if (downloads == nullptr) return;
  for (const auto& [model, progress] : *downloads) {
    const JsonValue* done = progress.Find("bytes_downloaded");
    const JsonValue* total = progress.Find("total_bytes");
    const bool good = progress.as_object() != nullptr &&
                      (done == nullptr || done->is_null() || done->as_integer() != nullptr) &&
                      (total == nullptr || total->is_null() || total->as_integer() != nullptr);
    if (!good) {
      in.Fail("model_downloads", "Input should map a model to integers", "dict_type");
      return;
    }
  }
}

}  // namespace

Reply HandleEnroll(Services& services, const Context& context) {
  BodyReader in(context.body, context.json_content_type);
  const auto pubkey = in.Parsed<PublicKeyHex>("pubkey_hex", kRequired);
  const std::optional<std::string> capabilities =
      ReportText(in, "capabilities", in.Object("capabilities", kOptional));
  if (!in.ok()) return in.Refusal();
  if (services.options.rate_limits &&
      !services.limiter.Allow("enroll " + context.request.remote_address, 10, kHourMicros,
                              context.now)) {
    return RateLimited("10 per 1 hour");
  }
  const bool self_signed = services.options.signed_enrol && SignedByItself(context, *pubkey);
  if (services.options.signed_enrol && !self_signed && context.request.Header("signature-input")) {
    return Error(401, "invalid_signature",
                 "an enrolment must be unsigned or signed by the key it enrols");
  }
  const std::optional<WorkerRow> known = FindWorkerByKey(services.db, *pubkey);
  if (known && known->retired_at) {
    return Error(409, "pubkey_retired", "this key was withdrawn and cannot enrol again");
  }
  {
    Rows tenant = services.db.Query("SELECT 1 FROM tenants WHERE pubkey = ?", *pubkey);
    if (tenant.Next()) return Error(409, "pubkey_already_tenant", "this key belongs to a tenant");
  }
  if (known) {
    if (self_signed) return EnrollView(*known);
    return Error(409, "pubkey_already_enrolled", "this key is enrolled already");
  }
  WorkerRow worker;
  worker.worker_id = MakeId("wkr-");
  worker.registered_at = context.now;
  services.db.Run(
      "INSERT INTO workers (worker_id, pubkey, capabilities, registered_at) VALUES (?, ?, ?, ?)",
      worker.worker_id, *pubkey, capabilities.value_or("{}"), context.now);
  LogInfo("worker_enrolled", {{"worker", worker.worker_id}});
  return EnrollView(worker);
}

Reply HandleHeartbeat(Services& services, const Context& context) {
  BodyReader in(context.body, context.json_content_type);
  const std::optional<std::string> capabilities =
      ReportText(in, "capabilities", in.Object("capabilities", kOptional));
  const JsonObject* progress = in.Object("model_downloads", kOptional);
  CheckDownloads(in, progress);
  const std::optional<std::string> downloads = ReportText(in, "model_downloads", progress);
  if (!in.ok()) return in.Refusal();
  std::optional<WorkerRow> worker = FindWorker(services.db, context.PathId<WorkerId>(0));
  if (!worker) return Error(404, "worker_not_found", "no such worker");
  services.db.Run(
      "UPDATE workers SET last_heartbeat_at = ?, capabilities = coalesce(?, capabilities),"
      " model_downloads = ? WHERE id = ?",
      context.now, capabilities, downloads, worker->id);
  if (capabilities && *capabilities != worker->capabilities) services.work_changed();
  worker->last_heartbeat_at = context.now;
  JsonObject view = WorkerView(*worker, /*for_maintainer=*/false);
  if (auto release = LatestRelease(services.db))
    view.emplace("latest_release", *std::move(release));
  return Ok(std::move(view));
}

Reply HandleGetWorker(Services& services, const Context& context) {
  const auto worker = FindWorker(services.db, context.PathId<WorkerId>(0));
  if (!worker) return Error(404, "worker_not_found", "no such worker");
  return Ok(WorkerView(*worker, context.caller.maintainer()));
}

Reply HandleListWorkers(Services& services, const Context&) {
  std::vector<std::string> ids;
  {
    Rows rows = services.db.Query("SELECT worker_id FROM workers ORDER BY id");
    while (rows.Next()) ids.push_back(rows.Text(0));
  }
  JsonArray workers;
  for (const std::string& id : ids) {
    const auto worker = FindWorker(services.db, WorkerId::Parse(id).value());
    if (worker) workers.emplace_back(WorkerView(*worker, /*for_maintainer=*/true));
  }
  return Ok(JsonObject{{"workers", std::move(workers)}});
}

Reply HandleRetire(Services& services, const Context& context) {
  auto worker = FindWorker(services.db, context.PathId<WorkerId>(0));
  if (!worker) return Error(404, "worker_not_found", "no such worker");
  if (!worker->retired_at) {
    services.db.Run("UPDATE workers SET retired_at = ? WHERE id = ?", context.now, worker->id);
    worker->retired_at = context.now;
    services.work_changed();
    LogInfo("worker_retired", {{"worker", worker->worker_id}});
  }
  return Ok(WorkerView(*worker, context.caller.maintainer()));
}

Reply HandlePrestage(Services&, const Context&) {
  return Ok(JsonObject{{"prestage", JsonArray{}}});
}

Reply HandleServeRecovered(Services&, const Context& context) {
  BodyReader in(context.body, context.json_content_type);
  const auto model = in.Text("model_id", kRequired, 1, 256);
  if (!in.ok()) return in.Refusal();
  LogInfo("serve_recovered", {{"worker", context.caller.worker_id}, {"model", Printable(*model)}});
  return Ok(JsonObject{
      {"worker_id", context.caller.worker_id}, {"model_id", *model}, {"recorded", true}});
}

}  // namespace auspex::coordd
