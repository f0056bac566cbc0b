// SPDX-License-Identifier: AGPL-3.0-only
#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "common/receipt/receipt.h"
#include "coordd/body_reader.h"
#include "coordd/handlers.h"
#include "coordd/reply.h"

namespace auspex::coordd {
namespace {

constexpr int64_t kMinuteMicros = 60'000'000;
constexpr size_t kMaxEnvelopeCharacters = 131'072;

// The 200 of 11.5. Columns: receipt_id, experiment_id, issued_at, envelope, view.
Reply ReceiptView(Services& services, const Rows& rows) {
  JsonObject out{{"receipt_id", rows.Text(0)},
                 {"experiment_id", rows.Text(1)},
                 {"issued_at", ZuluTime(rows.Int(2))},
                 {"signing_key_pubkey_hex", services.key.public_key_hex()},
                 {"cose_signed_blob_b64", Base64Encode(rows.Text(3))}};
  if (auto view = ReadJson(rows.Text(4)); view.ok()) out.emplace("receipt", *std::move(view));
  return Ok(std::move(out));
}

// The worker's key; 0 when there is none.
int64_t WorkerKey(Database& db, const WorkerId& worker) {
  Rows rows = db.Query("SELECT id FROM workers WHERE worker_id = ?", worker);
  return rows.Next() ? rows.Int(0) : 0;
}

}  // namespace

Reply HandleCanonicalReceipt(Services& services, const Context& context) {
  const int64_t worker = WorkerKey(services.db, context.PathId<WorkerId>(0));
  if (worker == 0) return Error(404, "worker_not_found", "no such worker");
  const auto result = context.PathId<ResultId>(1);
  {
    Rows rows = services.db.Query(
        "SELECT c.receipt_id, e.experiment_id, c.issued_at, c.envelope, c.view FROM results r"
        " JOIN receipts c ON c.result = r.id JOIN experiments e ON e.id = r.experiment"
        " WHERE r.result_id = ? AND r.worker = ?",
        result, worker);
    if (rows.Next()) return ReceiptView(services, rows);
  }
  Rows rows = services.db.Query(
      "SELECT outcome, outcome_reason FROM results WHERE result_id = ? AND worker = ?", result,
      worker);
  if (rows.Next() && !rows.IsNull(0)) {
    return Error(410, "receipt_will_not_issue", "no receipt will ever be issued for this result",
                 {{"outcome", rows.Text(0)}, {"reason", rows.Text(1)}, {"terminal", true}});
  }
  return Error(404, "receipt_not_issued", "no receipt has been issued yet", {{"terminal", false}});
}

Reply HandleListReceipts(Services& services, const Context& context) {
  const int64_t worker = WorkerKey(services.db, context.PathId<WorkerId>(0));
  if (worker == 0) return Error(404, "worker_not_found", "no such worker");
  JsonArray receipts;
  Rows rows = services.db.Query(
      "SELECT c.receipt_id, e.experiment_id, w.worker_id, w.pubkey, c.issued_at FROM receipts c"
      " JOIN experiments e ON e.id = c.experiment JOIN workers w ON w.id = c.worker"
      " WHERE c.worker = ? ORDER BY c.id",
      worker);
  while (rows.Next()) {
    receipts.emplace_back(JsonObject{{"receipt_id", rows.Text(0)},
                                     {"experiment_id", rows.Text(1)},
                                     {"worker_id", rows.Text(2)},
                                     {"worker_pubkey", rows.Text(3)},
                                     {"issued_at", ZuluTime(rows.Int(4))}});
  }
  return Ok(JsonObject{{"receipts", std::move(receipts)}});
}

Reply HandleGetReceipt(Services& services, const Context& context) {
  Rows rows = services.db.Query(
      "SELECT c.receipt_id, e.experiment_id, c.issued_at, c.envelope, c.view FROM receipts c"
      " JOIN experiments e ON e.id = c.experiment WHERE c.receipt_id = ?",
      context.PathId<ReceiptId>(0));
  if (!rows.Next()) return Error(404, "receipt_not_found", "no such receipt");
  return ReceiptView(services, rows);
}

Reply HandleVerifyReceipt(Services& services, const Context& context) {
  BodyReader in(context.body, context.json_content_type);
  const auto text = in.Text("receipt_cose_b64", kRequired, 0, kMaxEnvelopeCharacters);
  if (!in.ok()) return in.Refusal();
  if (services.options.rate_limits &&
      !services.limiter.Allow("verify " + context.request.remote_address, 60, kMinuteMicros,
                              context.now)) {
    return RateLimited("60 per 1 minute");
  }
  const auto envelope = Base64Decode(*text);
  if (!envelope)
    return Error(400, "invalid_base64", "receipt_cose_b64 is not padded standard base64");
  const auto parsed = ParseReceipt(*envelope);
  JsonObject out{{"coordinator_mode", "dev"},
                 {"signature_valid", parsed.ok()},
                 {"schema_valid", parsed.ok()},
                 {"signer_kid", parsed.ok() ? parsed->signer_pubkey_hex : std::string()}};
  const bool ours = parsed.ok() && parsed->signer_pubkey_hex == services.key.public_key_hex();
  out.emplace("authorized_signer", false);
  out.emplace("authorized_signer_note",
              ours ? "signed by this laboratory's own key, which is on no roster"
                   : "not signed by this coordinator's key");
  if (parsed.ok()) {
    const Receipt& receipt = parsed->receipt;
    out.emplace("receipt", JsonObject{{"receipt_id", parsed->receipt_id},
                                      {"tenant_id", receipt.tenant_id},
                                      {"experiment_id", receipt.experiment_id},
                                      {"worker_pubkey", HexEncode(receipt.worker_pubkey)}});
  } else {
    out.emplace("errors", JsonArray{JsonValue(std::string(parsed.status().message()))});
  }
  return Ok(std::move(out));
}

}  // namespace auspex::coordd
