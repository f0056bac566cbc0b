// SPDX-License-Identifier: AGPL-3.0-only
#include "common/log/log.h"
#include "coordd/body_reader.h"
#include "coordd/handlers.h"
#include "coordd/reply.h"
#include "coordd/worker_store.h"

namespace auspex::coordd {
namespace {

constexpr size_t kMaxReason = 2000;

// The worker that the path names, or the refusal: 404, or 409 when it may not be retired and is.
std::variant<WorkerRow, Reply> Target(Services& services, const Context& context, bool alive) {
  auto worker = FindWorker(services.db, context.PathId<WorkerId>(0));
  if (!worker) return Error(404, "worker_not_found", "no such worker");
  if (alive && worker->retired_at) return Error(409, "worker_retired", "this worker is retired");
  return *std::move(worker);
}

// The maintainer's view after a change, which held polls must notice.
Reply Changed(Services& services, const Context& context, std::string_view event) {
  services.work_changed();
  const auto worker = FindWorker(services.db, context.PathId<WorkerId>(0));
  if (!worker) return Error(404, "worker_not_found", "no such worker");
  LogInfo(event, {{"worker", worker->worker_id}});
  return Ok(WorkerView(*worker, /*for_maintainer=*/true));
}

}  // namespace

Reply HandleQuarantine(Services& services, const Context& context) {
  std::optional<std::string> reason;
  if (context.body != nullptr) {
    BodyReader in(context.body, context.json_content_type);
    reason = in.Text("reason", kOptional, 0, kMaxReason);
    if (!in.ok()) return in.Refusal();
  }
  auto target = Target(services, context, /*alive=*/true);
  if (auto* refusal = std::get_if<Reply>(&target)) return std::move(*refusal);
  QuarantineWorker(services.db, std::get<WorkerRow>(target).id, context.now, reason);
  return Changed(services, context, "worker_quarantined");
}

Reply HandleUnquarantine(Services& services, const Context& context) {
  auto target = Target(services, context, /*alive=*/false);
  if (auto* refusal = std::get_if<Reply>(&target)) return std::move(*refusal);
  services.db.Run("UPDATE workers SET quarantined_at = NULL, quarantine_reason = NULL WHERE id = ?",
                  std::get<WorkerRow>(target).id);
  return Changed(services, context, "worker_unquarantined");
}

Reply HandlePause(Services& services, const Context& context) {
  BodyReader in(context.body, context.json_content_type);
  const auto reason = in.Text("reason", kRequired, 1, kMaxReason);
  if (!in.ok()) return in.Refusal();
  auto target = Target(services, context, /*alive=*/true);
  if (auto* refusal = std::get_if<Reply>(&target)) return std::move(*refusal);
  services.db.Run(
      "UPDATE workers SET paused_at = coalesce(paused_at, ?), pause_reason = ? WHERE id = ?",
      context.now, *reason, std::get<WorkerRow>(target).id);
  return Changed(services, context, "worker_paused");
}

Reply HandleUnpause(Services& services, const Context& context) {
  auto target = Target(services, context, /*alive=*/false);
  if (auto* refusal = std::get_if<Reply>(&target)) return std::move(*refusal);
  services.db.Run("UPDATE workers SET paused_at = NULL, pause_reason = NULL WHERE id = ?",
                  std::get<WorkerRow>(target).id);
  return Changed(services, context, "worker_unpaused");
}

}  // namespace auspex::coordd
