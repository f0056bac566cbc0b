// SPDX-License-Identifier: AGPL-3.0-only
#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/json/canonical.h"
#include "common/log/log.h"
#include "coordd/body_reader.h"
#include "coordd/handlers.h"
#include "coordd/package_store.h"
#include "coordd/quorum.h"
#include "coordd/reply.h"
#include "coordd/submission.h"
#include "coordd/unit_state.h"

namespace auspex::coordd {
namespace {

constexpr size_t kMaxLabUnits = 1'000'000;

Reply NotFound() { return Error(404, "experiment_not_found", "no such experiment"); }

int64_t Count(Rows rows) { return rows.Next() ? rows.Int(0) : 0; }

// Decodes, checks against the manifest's pin and stores the package. OK to have none.
std::optional<Reply> TakePackage(Database& db, const std::optional<std::string>& base64,
                                 const NewExperiment& experiment, int64_t now) {
  if (!base64) return std::nullopt;
  const auto archive = Base64Decode(*base64);
  if (!archive)
    return Error(422, "invalid_base64", "package_tar_gz_b64 is not padded standard base64");
  if (archive->size() > kMaxPackageOctets) {
    return Error(413, "package_too_large",
                 Cat("a package may have at most ", kMaxPackageOctets, " octets"));
  }
  const auto digest = DigestOfArchive(*archive);
  if (!digest.ok()) return PackageRefusal(digest.status());
  if (experiment.package_digest != digest->str()) {
    return Error(
        422, "digest_mismatch", "executor.package_sha256 does not pin this package",
        {{"claimed", experiment.package_digest.value_or("")}, {"computed", digest->str()}});
  }
  StorePackage(db, *digest, *archive, now);
  return std::nullopt;
}

}  // namespace

Reply HandleLabSigningKey(Services& services, const Context&) {
  return Ok(JsonObject{{"public_key_hex", services.key.public_key_hex()}});
}

Reply HandleLabSubmit(Services& services, const Context& context) {
  BodyReader in(context.body, context.json_content_type);
  const JsonObject* manifest_object = in.Object("manifest", kRequired);
  const JsonArray* units = in.Array("units", kRequired);
  const auto target = in.Integer("replication_target", kRequired, 1, 100);
  const auto level = in.Text("sandbox_level", kRequired, 1, 16);
  const auto package = in.Text("package_tar_gz_b64", kOptional, 0, kMaxLabBodyOctets);
  const auto finalize = in.Bool("finalize", kOptional);
  const auto certified = in.Bool("certified", kOptional);
  if (level && *level != "strict" && *level != "permissive") {
    in.Fail("sandbox_level", "Input should be 'strict' or 'permissive'", "enum");
  }
  if (units != nullptr && units->size() > kMaxLabUnits) {
    in.Fail("units", Cat("List should have at most ", kMaxLabUnits, " items"), "too_long");
  }
  if (!in.ok()) return in.Refusal();
  const JsonValue manifest(*manifest_object);
  auto names = ReadManifestNames(manifest);
  if (auto* refusal = std::get_if<Reply>(&names)) return std::move(*refusal);
  const auto& tenant = std::get<ManifestNames>(names).tenant;
  auto prepared =
      PrepareExperiment(services.db, manifest, std::get<ManifestNames>(names),
                        SandboxLevelOf(&*level), *target, std::min<int64_t>(2, *target));
  if (auto* refusal = std::get_if<Reply>(&prepared)) return std::move(*refusal);
  auto& experiment = std::get<NewExperiment>(prepared);
  experiment.certified = certified.value_or(false);
  if (experiment.certified && !experiment.requirements.feature_schema) return NothingToCertify(422);
  if (auto refusal = TakePackage(services.db, package, experiment, context.now))
    return *std::move(refusal);
  services.db.Run("INSERT OR IGNORE INTO tenants (tenant_id, created_at) VALUES (?, ?)", tenant,
                  context.now);
  const ExperimentRow row = InsertExperiment(services.db, experiment, kApproved, context.now);
  std::set<std::string> seen;
  for (const JsonValue& unit : *units) {
    std::string unit_id;
    if (auto refusal = AddUnit(services.db, row, unit, seen, context.now, &unit_id))
      return *std::move(refusal);
  }
  if (finalize.value_or(false)) {
    services.db.Run("UPDATE experiments SET finalized_at = ? WHERE id = ?", context.now, row.id);
    MaybeCompleteExperiment(services, row.id, context.now);
  }
  services.work_changed();
  LogInfo("experiment_submitted", {{"experiment", row.experiment_id}, {"units", units->size()}});
  return Ok(JsonObject{{"experiment_id", row.experiment_id},
                       {"manifest_sha256", row.manifest_sha256},
                       {"unit_count", units->size()}},
            201);
}

Reply HandleLabProgress(Services& services, const Context& context) {
  Database& db = services.db;
  const auto experiment = FindExperiment(db, context.PathId<ExperimentId>(0));
  if (!experiment) return NotFound();
  JsonObject by_status{
      {"pending", 0}, {"in_progress", 0}, {"completed", 0}, {"failed", 0}, {"cancelled", 0}};
  int64_t agreed = 0, disagreed = 0;
  {
    Rows rows = db.Query(
        "SELECT status, count(*), coalesce(sum(agreed = 1), 0), coalesce(sum(agreed = 0), 0) FROM "
        "units"
        " WHERE experiment = ? GROUP BY status",
        experiment->id);
    while (rows.Next()) {
      by_status[std::string(UnitStatusWord(rows.Int(0)))] = JsonValue(rows.Int(1));
      agreed += rows.Int(2);
      disagreed += rows.Int(3);
    }
  }
  JsonObject refusals;
  {
    Rows rows = db.Query(
        "SELECT refused_kind, count(*) FROM assignments WHERE experiment = ? AND refused_at IS NOT "
        "NULL"
        " GROUP BY refused_kind",
        experiment->id);
    while (rows.Next()) refusals.emplace(rows.Text(0), rows.Int(1));
  }
  const int64_t results =
      Count(db.Query("SELECT count(*) FROM results WHERE experiment = ?", experiment->id));
  const int64_t receipts =
      Count(db.Query("SELECT count(*) FROM receipts WHERE experiment = ?", experiment->id));
  const int64_t schema_problems = Count(
      db.Query("SELECT count(*) FROM results WHERE experiment = ? AND schema_problem IS NOT NULL",
               experiment->id));
  const int64_t open =
      Count(db.Query("SELECT count(*) FROM assignments WHERE experiment = ? AND result IS NULL AND "
                     "refused_at IS NULL",
                     experiment->id));
  return Ok(JsonObject{{"experiment_id", experiment->experiment_id},
                       {"tenant_id", experiment->tenant_id},
                       {"label", experiment->label},
                       {"manifest_sha256", experiment->manifest_sha256},
                       {"state", experiment->state},
                       {"replication_target", experiment->target},
                       {"units", std::move(by_status)},
                       {"agreed", agreed},
                       {"disagreed", disagreed},
                       {"results", results},
                       {"receipts", receipts},
                       {"open_assignments", open},
                       {"schema_problems", schema_problems},
                       {"refusals", std::move(refusals)}});
}

Reply HandleLabResults(Services& services, const Context& context) {
  Database& db = services.db;
  const auto experiment = FindExperiment(db, context.PathId<ExperimentId>(0));
  if (!experiment) return NotFound();
  struct Unit {
    int64_t key, status, consensus;
    std::string unit_id, payload;
    bool agreed;
  };
  std::vector<Unit> units;
  {
    Rows rows = db.Query(
        "SELECT id, status, coalesce(consensus_result, 0), unit_id, payload, coalesce(agreed, 0) "
        "FROM units"
        " WHERE experiment = ? ORDER BY id",
        experiment->id);
    while (rows.Next()) {
      units.push_back(
          {rows.Int(0), rows.Int(1), rows.Int(2), rows.Text(3), rows.Text(4), rows.Int(5) != 0});
    }
  }
  // Payloads are canonical JSON and go in as stored, so that every number keeps its form.
  std::string out =
      Cat("{\"experiment_id\":", CanonicalString(experiment->experiment_id), ",\"units\":[");
  for (size_t i = 0; i < units.size(); ++i) {
    const Unit& unit = units[i];
    std::string consensus = "null", exit_code = "null", results;
    Rows rows = db.Query(
        "SELECT r.id, r.result_id, w.worker_id, r.worker_pubkey, r.exit_code, r.semantic_hash, "
        "r.ran_under,"
        " r.completed_at, c.receipt_id, r.payload, r.schema_problem FROM results r JOIN workers w "
        "ON w.id = r.worker"
        " LEFT JOIN receipts c ON c.result = r.id WHERE r.unit = ? ORDER BY r.id",
        unit.key);
    while (rows.Next()) {
      if (rows.Int(0) == unit.consensus) {
        consensus = rows.Text(9);
        exit_code = std::to_string(rows.Int(4));
      }
      const auto nullable = [&](int column) {
        return rows.IsNull(column) ? JsonValue() : JsonValue(rows.Text(column));
      };
      if (!results.empty()) results += ",";
      results += WriteCanonical(JsonObject{{"result_id", rows.Text(1)},
                                           {"worker_id", rows.Text(2)},
                                           {"worker_pubkey", rows.Text(3)},
                                           {"exit_code", rows.Int(4)},
                                           {"semantic_hash", rows.Text(5)},
                                           {"ran_under", nullable(6)},
                                           {"completed_at", rows.Text(7)},
                                           {"receipt_id", nullable(8)},
                                           {"schema_problem", nullable(10)}});
    }
    out +=
        Cat(i == 0 ? "" : ",", "{\"unit_id\":", CanonicalString(unit.unit_id),
            ",\"payload\":", unit.payload, ",\"status\":\"", UnitStatusWord(unit.status),
            "\",\"agreed\":", unit.agreed ? "true" : "false", ",\"consensus_payload\":", consensus,
            ",\"consensus_exit_code\":", exit_code, ",\"results\":[", results, "]}");
  }
  return OkText(out + "]}");
}

Reply HandleLabAbort(Services& services, const Context& context) {
  return HandleAbort(services, context);
}

}  // namespace auspex::coordd
