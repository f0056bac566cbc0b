// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/result_composer.h"

#include <utility>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"
#include "common/ids/ids.h"
#include "common/json/canonical.h"
#include "common/wire/result.h"

namespace auspex::keyd {
namespace {

// A field over its bounds is as wrong as one of the wrong kind: RESOURCE_EXHAUSTED would be taken for trouble that passes.
absl::Status InField(std::string_view name, const absl::Status& status) {
  return absl::InvalidArgumentError(Cat(name, ": ", std::string(status.message())));
}

absl::Status Bad(std::string_view name, std::string_view why) {
  return absl::InvalidArgumentError(Cat(name, ": ", why));
}

// Fills subject and unit of `out`.
absl::Status TakeIds(const std::string& untrusted_unit, const std::string& untrusted_assignment,
                     ComposedResult& out) {
  absl::StatusOr<UnitId> unit = UnitId::Parse(untrusted_unit);
  if (!unit.ok()) return InField("unit_id", unit.status());
  absl::StatusOr<AssignmentId> assignment = AssignmentId::Parse(untrusted_assignment);
  if (!assignment.ok()) return InField("assignment_id", assignment.status());
  out.unit = unit->str();
  out.subject = assignment->str();
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, std::string>> CheckedWeights(
    const std::map<std::string, std::string>& untrusted) {
  if (untrusted.size() > kMaxServedWeights) {
    return Bad("served_weights", Cat("more than ", kMaxServedWeights, " models"));
  }
  std::map<std::string, std::string> weights;
  for (const auto& [model, digest] : untrusted) {
    absl::StatusOr<ModelId> id = ModelId::Parse(model);
    if (!id.ok()) return InField("served_weights", id.status());
    absl::StatusOr<Sha256Hex> hex = Sha256Hex::Parse(digest);
    if (!hex.ok()) return InField("served_weights", hex.status());
    weights.emplace(id->str(), hex->str());
  }
  return weights;
}

}  // namespace

absl::StatusOr<ComposedResult> ComposeResult(const UntrustedResult& result,
                                             const std::string& public_key_hex) {
  ComposedResult out;
  RETURN_IF_ERROR(TakeIds(result.unit_id, result.assignment_id, out));
  if (result.completed_at.size() > 64 ||
      NormalizeCompletedAt(result.completed_at) != result.completed_at) {
    return Bad("completed_at", Cat("is not in the form YYYY-MM-DDTHH:MM:SS[.ffffff]+HH:MM: '",
                                   Printable(result.completed_at), "'"));
  }
  if (result.exit_code < -255 || result.exit_code > 255) {
    return Bad("exit_code", Cat(result.exit_code, " is outside -255..255"));
  }
  if (result.schema_version > 2) {
    return Bad("schema_version", Cat(result.schema_version, " is not 0, 1 or 2"));
  }
  ASSIGN_OR_RETURN(auto weights, CheckedWeights(result.served_weights));
  const bool known_word = result.ran_under == "strict" || result.ran_under == "permissive";
  // Versions 0 and 1 do not sign the word.
  if (!known_word && !(result.ran_under.empty() && result.schema_version < 2)) {
    return Bad("ran_under",
               Cat("is neither strict nor permissive: '", Printable(result.ran_under), "'"));
  }
  JsonLimits limits;
  limits.max_octets = kMaxPayloadOctets;
  limits.max_depth = kMaxPayloadDepth;
  limits.allow_non_finite = false;
  if (absl::Status s = CheckCanonicalObject(result.canonical_payload, limits); !s.ok()) {
    return InField("canonical_payload", s);
  }
  ResultFields fields;
  fields.unit_id = out.unit;
  fields.worker_pubkey = public_key_hex;
  fields.completed_at = result.completed_at;
  fields.exit_code = result.exit_code;
  fields.canonical_payload = result.canonical_payload;
  fields.schema_version = static_cast<int>(result.schema_version);
  fields.served_weights = std::move(weights);
  fields.ran_under = result.ran_under;
  ASSIGN_OR_RETURN(out.octets, CanonicalResult(fields));
  return out;
}

absl::StatusOr<ComposedResult> ComposeRawText(const UntrustedRawText& raw,
                                              const std::string& public_key_hex) {
  ComposedResult out;
  RETURN_IF_ERROR(TakeIds(raw.unit_id, raw.assignment_id, out));
  if (raw.raw_sha256.size() != 32) {
    return Bad("raw_sha256", Cat(raw.raw_sha256.size(), " octets, not 32"));
  }
  out.octets = CanonicalRawTextOfDigest(out.unit, public_key_hex, HexEncode(raw.raw_sha256));
  return out;
}

}  // namespace auspex::keyd
