// SPDX-License-Identifier: AGPL-3.0-only
#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "coordd/body_reader.h"
#include "coordd/experiment_views.h"
#include "coordd/handlers.h"
#include "coordd/receipt_store.h"
#include "coordd/reply.h"
#include "coordd/submission.h"
#include "coordd/unit_state.h"

namespace auspex::coordd {
namespace {

// The members of a unit that must repeat what the experiment is (14.4).
std::optional<Reply> CheckUnitNames(const ExperimentRow& experiment, const JsonValue& unit) {
  const auto differs = [&](std::string_view member, const std::string& expected) {
    const std::string* text = unit.FindString(member);
    return text == nullptr || *text != expected;
  };
  if (differs("tenant_id", experiment.tenant_id)) {
    return Error(422, "work_unit_tenant_mismatch", "a unit names another tenant");
  }
  if (differs("experiment_id", experiment.label)) {
    return Error(422, "work_unit_experiment_label_mismatch", "a unit names another experiment");
  }
  if (differs("manifest_sha256", experiment.manifest_sha256)) {
    return Error(422, "work_unit_manifest_mismatch", "a unit names another manifest");
  }
  return std::nullopt;
}

}  // namespace

Reply HandleSubmitUnits(Services& services, const Context& context) {
  BodyReader in(context.body, context.json_content_type);
  const JsonArray* units = in.Array("work_units", kRequired);
  if (!in.ok()) return in.Refusal();
  auto found = VisibleExperiment(services, context);
  if (auto* refusal = std::get_if<Reply>(&found)) return std::move(*refusal);
  const auto& experiment = std::get<ExperimentRow>(found);
  if (experiment.state != kApproved && experiment.state != kPaused) {
    return Error(409, "experiment_not_open_for_submissions",
                 Cat("the experiment is ", experiment.state));
  }
  if (experiment.finalized_at) {
    return Error(409, "submissions_finalized", "no more units are taken");
  }
  std::set<std::string> seen;
  JsonArray ids;
  for (const JsonValue& unit : *units) {
    if (auto refusal = CheckUnitNames(experiment, unit)) return *std::move(refusal);
    std::string unit_id;
    if (auto refusal = AddUnit(services.db, experiment, unit, seen, context.now, &unit_id)) {
      return *std::move(refusal);
    }
    ids.emplace_back(unit_id);
  }
  if (experiment.max_units && CountUnits(services.db, experiment.id) > *experiment.max_units) {
    return Error(409, "max_units_exceeded", "the experiment takes fewer units",
                 {{"max_units", *experiment.max_units}});
  }
  services.work_changed();
  const size_t count = ids.size();
  return Ok(JsonObject{{"submitted_unit_ids", std::move(ids)}, {"count", count}}, 201);
}

Reply HandleListUnits(Services& services, const Context& context) {
  auto found = VisibleExperiment(services, context);
  if (auto* refusal = std::get_if<Reply>(&found)) return std::move(*refusal);
  const auto& experiment = std::get<ExperimentRow>(found);
  std::string list;
  int64_t counts[5] = {};
  Rows rows = services.db.Query(
      "SELECT unit_id, status, target, completions, created_at, payload FROM units WHERE "
      "experiment = ?"
      " ORDER BY id",
      experiment.id);
  while (rows.Next()) {
    ++counts[std::min<int64_t>(rows.Int(1), 4)];
    list += Cat(list.empty() ? "" : ",", "{\"unit_id\":", CanonicalString(rows.Text(0)),
                ",\"status\":\"", UnitStatusWord(rows.Int(1)),
                "\",\"replication_target\":", rows.Int(2), ",\"completions_so_far\":", rows.Int(3),
                ",\"created_at\":\"", ZuluTime(rows.Int(4)), "\",\"payload\":", rows.Text(5), "}");
  }
  JsonObject by_status;
  for (int64_t status = 0; status < 5; ++status) {
    if (counts[status] > 0) by_status.emplace(UnitStatusWord(status), counts[status]);
  }
  return OkText(
      Cat("{\"work_units\":[", list, "],\"counts_by_status\":", WriteCanonical(by_status), "}"));
}

Reply HandleExperimentReceipts(Services& services, const Context& context) {
  auto found = VisibleExperiment(services, context);
  if (auto* refusal = std::get_if<Reply>(&found)) return std::move(*refusal);
  const auto& experiment = std::get<ExperimentRow>(found);
  JsonArray receipts;
  Rows rows = services.db.Query(
      "SELECT c.receipt_id, u.unit_id, w.pubkey, c.issued_at FROM receipts c JOIN units u ON u.id "
      "= c.unit"
      " JOIN workers w ON w.id = c.worker WHERE c.experiment = ? ORDER BY c.id",
      experiment.id);
  while (rows.Next()) {
    receipts.emplace_back(JsonObject{{"receipt_id", rows.Text(0)},
                                     {"unit_id", rows.Text(1)},
                                     {"worker_pubkey", rows.Text(2)},
                                     {"issued_at", ZuluTime(rows.Int(3))}});
  }
  return Ok(JsonObject{{"receipts", std::move(receipts)}});
}

Reply HandleAttestation(Services& services, const Context& context) {
  auto found = VisibleExperiment(services, context);
  if (auto* refusal = std::get_if<Reply>(&found)) return std::move(*refusal);
  const auto& experiment = std::get<ExperimentRow>(found);
  Rows rows = services.db.Query(
      "SELECT attestation_id, merkle_root, unit_count, units, envelope FROM attestations WHERE "
      "experiment = ?",
      experiment.id);
  if (!rows.Next())
    return Error(404, "attestation_not_found", "the experiment has no attestation yet");
  JsonObject out{{"attestation_id", rows.Text(0)},
                 {"experiment_id", experiment.experiment_id},
                 {"tenant_id", experiment.tenant_id},
                 {"merkle_root", rows.Text(1)},
                 {"algorithm", "sha256-merkle-v1"},
                 {"unit_count", rows.Int(2)},
                 {"cose_b64", Base64Encode(rows.Text(4))},
                 {"signing_key_pubkey_hex", services.key.public_key_hex()},
                 {"rekor_log_index", 0},
                 {"rekor_entry_uuid", kNoRekor},
                 {"partial", false}};
  if (auto units = ReadJson(rows.Text(3)); units.ok()) out.emplace("units", *std::move(units));
  return Ok(std::move(out));
}

}  // namespace auspex::coordd
