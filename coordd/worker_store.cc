// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/worker_store.h"

#include "common/json/reader.h"
#include "coordd/reply.h"

namespace auspex::coordd {
namespace {

WorkerRow ReadRow(const Rows& rows) {
  WorkerRow out;
  out.id = rows.Int(0);
  out.worker_id = rows.Text(1);
  out.pubkey = rows.Text(2);
  out.capabilities = rows.Text(3);
  out.tier = rows.Int(4);
  out.account_id = rows.MaybeText(5);
  out.registered_at = rows.Int(6);
  out.last_heartbeat_at = rows.MaybeInt(7);
  out.retired_at = rows.MaybeInt(8);
  out.quarantined_at = rows.MaybeInt(9);
  out.quarantine_reason = rows.MaybeText(10);
  out.paused_at = rows.MaybeInt(11);
  out.pause_reason = rows.MaybeText(12);
  return out;
}

void AddTime(JsonObject& out, const char* name, const std::optional<int64_t>& time) {
  if (time) out.emplace(name, ZuluTime(*time));
}

void AddText(JsonObject& out, const char* name, const std::optional<std::string>& text) {
  if (text) out.emplace(name, *text);
}

}  // namespace

std::optional<WorkerRow> FindWorker(Database& db, const WorkerId& worker_id) {
  Rows rows = db.Query(
      "SELECT id, worker_id, pubkey, capabilities, tier, account_id, registered_at, "
      "last_heartbeat_at,"
      " retired_at, quarantined_at, quarantine_reason, paused_at, pause_reason"
      " FROM workers WHERE worker_id = ?",
      worker_id);
  if (!rows.Next()) return std::nullopt;
  return ReadRow(rows);
}

std::optional<WorkerRow> FindWorkerByKey(Database& db, const PublicKeyHex& pubkey) {
  Rows rows = db.Query(
      "SELECT id, worker_id, pubkey, capabilities, tier, account_id, registered_at, "
      "last_heartbeat_at,"
      " retired_at, quarantined_at, quarantine_reason, paused_at, pause_reason"
      " FROM workers WHERE pubkey = ?",
      pubkey);
  if (!rows.Next()) return std::nullopt;
  return ReadRow(rows);
}

JsonObject WorkerView(const WorkerRow& worker, bool for_maintainer) {
  JsonObject out{{"worker_id", worker.worker_id},
                 {"trust_tier", worker.tier},
                 {"registered_at", ZuluTime(worker.registered_at)}};
  AddTime(out, "last_heartbeat_at", worker.last_heartbeat_at);
  AddTime(out, "retired_at", worker.retired_at);
  AddTime(out, "quarantined_at", worker.quarantined_at);
  if (!for_maintainer) return out;
  out.emplace("pubkey_hex", worker.pubkey);
  if (auto capabilities = ReadJson(worker.capabilities); capabilities.ok()) {
    out.emplace("capabilities", *std::move(capabilities));
  }
  AddText(out, "account_id", worker.account_id);
  AddText(out, "quarantine_reason", worker.quarantine_reason);
  AddTime(out, "paused_at", worker.paused_at);
  AddText(out, "pause_reason", worker.pause_reason);
  return out;
}

void QuarantineWorker(Database& db, int64_t worker, int64_t now,
                      const std::optional<std::string>& reason) {
  db.Run(
      "UPDATE workers SET quarantined_at = ?, quarantine_reason = ?"
      " WHERE id = ? AND quarantined_at IS NULL",
      now, reason, worker);
}

}  // namespace auspex::coordd
