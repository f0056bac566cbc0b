// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/attestation.h"

#include <algorithm>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/crypto/sha256.h"
#include "common/json/canonical.h"
#include "common/receipt/receipt.h"
#include "coordd/cbor_writer.h"
#include "coordd/random_ids.h"

namespace auspex::coordd {
namespace {

constexpr std::string_view kAlgorithm = "sha256-merkle-v1";

std::string Leaf(const AttestedUnit& unit) {
  return Sha256(Cat(std::string(1, '\0'),
                    WriteCanonical(JsonObject{{"consensus_result_hash", unit.consensus_result_hash},
                                              {"receipt_id", unit.receipt_id},
                                              {"unit_id", unit.unit_id},
                                              {"unit_payload_sha256", unit.unit_payload_sha256}})));
}

// integrity_basis of a unit with consensus (12.1).
std::string Basis(const Requirements& requirements, int64_t replicas) {
  if (requirements.reducer == "builtin_process_only" || replicas < 2) return "process_only";
  if (requirements.reducer == "builtin_within_cell_tolerance") return "within_cell_tolerance";
  return "within_cell_exact";
}

std::vector<AttestedUnit> LoadUnits(Database& db, const ExperimentRow& experiment) {
  std::vector<AttestedUnit> out;
  Rows rows = db.Query(
      "SELECT u.unit_id, c.receipt_id, r.semantic_hash, u.payload,"
      " (SELECT count(*) FROM receipts x WHERE x.unit = u.id) FROM units u"
      " JOIN results r ON r.id = u.consensus_result JOIN receipts c ON c.result = r.id"
      " WHERE u.experiment = ?",
      experiment.id);
  while (rows.Next()) {
    out.push_back({.unit_id = rows.Text(0),
                   .receipt_id = rows.Text(1),
                   .consensus_result_hash = rows.Text(2),
                   .unit_payload_sha256 = Sha256HexOf(rows.Text(3)),
                   .integrity_basis = Basis(experiment.requirements, rows.Int(4))});
  }
  std::sort(out.begin(), out.end(),
            [](const AttestedUnit& a, const AttestedUnit& b) { return a.unit_id < b.unit_id; });
  return out;
}

// The statement of 11.2 with this predicate's type and subject.
std::string Statement(const std::string& attestation_id, const std::string& body) {
  const std::string subject =
      cbor::Map({{"name", cbor::Text(Cat("auspexai:result-set/", attestation_id))},
                 {"digest", cbor::Map({{"sha256", cbor::Text(Sha256HexOf(body))}})}});
  return cbor::Map({{"_type", cbor::Text("https://www.in-toto.io/Statement/v1")},
                    {"subject", cbor::Array({subject})},
                    {"predicateType", cbor::Text("https://auspexai.network/result-set/v1")},
                    {"predicate", cbor::Bytes(body)}});
}

}  // namespace

std::string MerkleRootV1(const std::vector<AttestedUnit>& units) {
  if (units.empty()) return Sha256HexOf(std::string_view("\0", 1));
  std::vector<std::string> level;
  for (const AttestedUnit& unit : units) level.push_back(Leaf(unit));
  while (level.size() > 1) {
    if (level.size() % 2 == 1) level.push_back(level.back());
    std::vector<std::string> above;
    for (size_t i = 0; i < level.size(); i += 2) {
      above.push_back(Sha256(Cat("\x01", level[i], level[i + 1])));
    }
    level = std::move(above);
  }
  return HexEncode(level.front());
}

void IssueAttestation(Services& services, const ExperimentRow& experiment, int64_t now) {
  const std::vector<AttestedUnit> units = LoadUnits(services.db, experiment);
  const std::string id = MakeId("att-"), root = MerkleRootV1(units);
  std::vector<std::string> encoded;
  JsonArray view;
  for (const AttestedUnit& unit : units) {
    encoded.push_back(cbor::Map({{"unit_id", cbor::Text(unit.unit_id)},
                                 {"receipt_id", cbor::Text(unit.receipt_id)},
                                 {"consensus_result_hash", cbor::Text(unit.consensus_result_hash)},
                                 {"unit_payload_sha256", cbor::Text(unit.unit_payload_sha256)},
                                 {"integrity_basis", cbor::Text(unit.integrity_basis)}}));
    view.emplace_back(JsonObject{{"unit_id", unit.unit_id},
                                 {"receipt_id", unit.receipt_id},
                                 {"consensus_result_hash", unit.consensus_result_hash},
                                 {"unit_payload_sha256", unit.unit_payload_sha256},
                                 {"integrity_basis", unit.integrity_basis}});
  }
  const std::string body = cbor::Map({{"merkle_root", cbor::Text(root)},
                                      {"algorithm", cbor::Text(kAlgorithm)},
                                      {"experiment_id", cbor::Text(experiment.label)},
                                      {"tenant_id", cbor::Text(experiment.tenant_id)},
                                      {"unit_count", cbor::Unsigned(units.size())},
                                      {"units", cbor::Array(encoded)}});
  const std::string envelope =
      EncodeEnvelope(Statement(id, body), services.key.public_key_hex(),
                     [&](std::string_view message) { return services.key.Sign(message); });
  services.db.Run(
      "INSERT OR REPLACE INTO attestations (experiment, attestation_id, merkle_root, unit_count, "
      "units,"
      " envelope, issued_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
      experiment.id, id, root, static_cast<int64_t>(units.size()), WriteCanonical(view),
      Blob{envelope}, now);
}

}  // namespace auspex::coordd
