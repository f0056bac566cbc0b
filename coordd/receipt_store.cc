// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/receipt_store.h"

#include <algorithm>

#include "common/base/encoding.h"
#include "common/json/canonical.h"
#include "common/receipt/receipt.h"
#include "coordd/random_ids.h"
#include "coordd/reply.h"

namespace auspex::coordd {
namespace {

// The JSON view of a body that goes beside the envelope, for convenience (11.5).
JsonValue ViewOf(const Receipt& receipt) {
  JsonArray units, anchors;
  for (const std::string& unit : receipt.work_unit_ids) units.emplace_back(unit);
  for (const Receipt::Anchor& anchor : receipt.anchors) {
    anchors.emplace_back(JsonObject{{"rekor_log_index", anchor.rekor_log_index},
                                    {"rekor_entry_uuid", anchor.rekor_entry_uuid},
                                    {"result_sha256", anchor.result_sha256}});
  }
  return JsonObject{
      {"version", receipt.version},
      {"tenant_id", receipt.tenant_id},
      {"experiment_id", receipt.experiment_id},
      {"worker_pubkey", HexEncode(receipt.worker_pubkey)},
      {"work_unit_ids", std::move(units)},
      {"time_window", JsonObject{{"start", receipt.window_start}, {"end", receipt.window_end}}},
      {"quorum_agreement", JsonObject{{"replication_factor", receipt.replication_factor},
                                      {"agreeing_workers", receipt.agreeing_workers},
                                      {"method", receipt.method}}},
      {"result_hash_anchors", std::move(anchors)}};
}

Receipt::Anchor AnchorOf(const ReplicaResult& result) {
  return {.rekor_log_index = 0,
          .rekor_entry_uuid = std::string(kNoRekor),
          .result_sha256 = result.canonical_sha256};
}

}  // namespace

void IssueReceipts(Services& services, const ExperimentRow& experiment, int64_t unit,
                   int64_t target, const std::vector<ReplicaResult>& results,
                   const Verdict& verdict, int64_t now) {
  Database& db = services.db;
  Receipt receipt;
  receipt.tenant_id = experiment.tenant_id;
  receipt.experiment_id = experiment.label;
  receipt.replication_factor = target;
  receipt.method = experiment.requirements.reducer;
  {
    Rows rows = db.Query("SELECT unit_id FROM units WHERE id = ?", unit);
    if (!rows.Next()) return;
    receipt.work_unit_ids = {rows.Text(0)};
  }
  // Results come ordered by completion, so the window and the anchors follow from the order.
  receipt.agreeing_workers = static_cast<int64_t>(verdict.inside.size());
  receipt.window_start = ZuluTime(results[verdict.inside.front()].completed_micros);
  receipt.window_end = ZuluTime(results[verdict.inside.back()].completed_micros);
  for (const size_t index : verdict.inside) receipt.anchors.push_back(AnchorOf(results[index]));

  for (const size_t index : verdict.inside) {
    const ReplicaResult& result = results[index];
    receipt.worker_pubkey = HexDecode(result.worker_pubkey).value_or("");
    if (verdict.receipts_alone) {
      receipt.agreeing_workers = 1;
      receipt.anchors = {AnchorOf(result)};
      receipt.window_start = receipt.window_end = ZuluTime(result.completed_micros);
    }
    const std::string id = MakeId("rcpt-");
    const std::string envelope = EncodeEnvelope(
        EncodeStatement(id, EncodeReceiptBody(receipt)), services.key.public_key_hex(),
        [&](std::string_view message) { return services.key.Sign(message); });
    db.Run(
        "INSERT INTO receipts (receipt_id, result, unit, experiment, worker, issued_at, envelope, "
        "view)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        id, result.id, unit, experiment.id, result.worker, now, Blob{envelope},
        WriteCanonical(ViewOf(receipt)));
  }
}

}  // namespace auspex::coordd
