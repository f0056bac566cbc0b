// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/submission.h"

#include "common/base/cat.h"
#include "common/json/canonical.h"
#include "common/wire/manifest.h"
#include "coordd/reply.h"

namespace auspex::coordd {

std::variant<ManifestNames, Reply> ReadManifestNames(const JsonValue& manifest) {
  const std::string* tenant = manifest.FindString("tenant_id");
  const std::string* label = manifest.FindString("experiment_id");
  const auto tenant_id = TenantId::Parse(tenant != nullptr ? *tenant : "");
  const auto label_id = ExperimentLabel::Parse(label != nullptr ? *label : "");
  if (!tenant_id.ok() || !label_id.ok()) {
    const absl::Status& why = tenant_id.ok() ? label_id.status() : tenant_id.status();
    return Error(422, "manifest_malformed", std::string(why.message()));
  }
  return ManifestNames{*tenant_id, *label_id};
}

Reply NothingToCertify(int status) {
  return Error(status, "feature_schema_missing",
               "a certified experiment needs a manifest with a feature_schema");
}

int64_t ReplicationFactor(const JsonValue& manifest) {
  const JsonValue* factor = manifest.Find("replication_factor");
  const auto number = factor != nullptr ? factor->AsInt64() : std::nullopt;
  return number && *number >= 1 && *number <= 100 ? *number : 1;
}

std::variant<NewExperiment, Reply> PrepareExperiment(Database& db, const JsonValue& manifest,
                                                     const ManifestNames& names,
                                                     SandboxLevel sandbox, int64_t target,
                                                     int64_t floor) {
  auto requirements = DeriveRequirements(manifest, sandbox, target);
  if (!requirements.ok()) {
    // "<code>: <why>"
    const std::string message(requirements.status().message());
    const size_t colon = message.find(": ");
    return Error(422, message.substr(0, colon), message.substr(colon + 2));
  }
  NewExperiment out{.tenant_id = names.tenant.str(),
                    .label = names.label.str(),
                    .manifest_sha256 = ManifestSha256(manifest),
                    .manifest = WriteCanonical(manifest),
                    .requirements = *std::move(requirements),
                    .target = target,
                    .floor = floor};
  if (const JsonValue* executor = manifest.Find("executor")) {
    if (const std::string* pin = executor->FindString("package_sha256")) {
      const auto digest = Sha256Hex::Parse(*pin);
      if (!digest.ok()) {
        return Error(422, "manifest_malformed", "executor.package_sha256 is not 64 hex digits");
      }
      out.package_digest = digest->str();
    }
  }
  if (ManifestKnown(db, out.manifest_sha256)) {
    return Error(409, "duplicate_manifest", "this manifest was submitted before",
                 {{"manifest_sha256", out.manifest_sha256.str()}});
  }
  if (LabelKnown(db, out.tenant_id, out.label)) {
    return Error(409, "duplicate_experiment_label", "the tenant has an experiment of this label");
  }
  return out;
}

std::optional<Reply> AddUnit(Database& db, const ExperimentRow& experiment, const JsonValue& unit,
                             std::set<std::string>& seen, int64_t now, std::string* unit_id) {
  const std::string* id_text = unit.FindString("unit_id");
  const auto id = UnitId::Parse(id_text != nullptr ? *id_text : "");
  if (!id.ok()) {
    return ValidationRefusal({ValidationProblem("unit_id", std::string(id.status().message()),
                                                "string_pattern_mismatch")});
  }
  const JsonValue* payload = unit.Find("payload");
  if (payload != nullptr && payload->as_object() == nullptr) {
    return ValidationRefusal(
        {ValidationProblem("payload", "Input should be a valid dictionary", "dict_type")});
  }
  const std::string text = payload != nullptr ? WriteCanonical(*payload) : std::string("{}");
  if (!seen.insert(id->str()).second) {
    return Error(422, "duplicate_unit_id_in_batch", "a unit id occurs twice",
                 {{"unit_id", id->str()}});
  }
  if (experiment.max_payload_octets &&
      static_cast<int64_t>(text.size()) > *experiment.max_payload_octets) {
    return Error(422, "payload_too_large", "a payload is larger than the experiment allows",
                 {{"unit_id", id->str()}});
  }
  if (UnitKnown(db, experiment.id, *id)) {
    return Error(409, "unit_id_already_submitted", "the unit was submitted before",
                 {{"unit_id", id->str()}});
  }
  InsertUnit(db, experiment.id, *id, text, experiment.target, now);
  *unit_id = id->str();
  return std::nullopt;
}

}  // namespace auspex::coordd
