// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/completion.h"

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"
#include "common/crypto/ed25519.h"
#include "common/crypto/sha256.h"
#include "common/ids/ids.h"
#include "common/json/canonical.h"
#include "common/wire/result.h"
#include "stated/offer.h"

namespace auspex::stated {
namespace {

constexpr size_t kMaxServedModels = 64;

absl::Status Wrong(std::string_view field, std::string_view why) {
  return absl::InvalidArgumentError(Cat(field, ": ", why));
}

// Fields that need no other one to be judged.
absl::Status CheckFields(const UntrustedCompletion& untrusted) {
  if (NormalizeCompletedAt(untrusted.completed_at) != untrusted.completed_at) {
    return Wrong("completed_at",
                 Cat("not in the wire's form: '", Printable(untrusted.completed_at), "'"));
  }
  if (untrusted.exit_code < -255 || untrusted.exit_code > 255) {
    return Wrong("exit_code", Cat(untrusted.exit_code, " is outside -255..255"));
  }
  if (untrusted.schema_version != 2) return Wrong("schema_version", "only 2 is sent");
  if (untrusted.ran_under != "strict" && untrusted.ran_under != "permissive") {
    return Wrong("ran_under",
                 Cat("'", Printable(untrusted.ran_under), "' is not strict or permissive"));
  }
  JsonLimits limits;
  limits.max_octets = kMaxPayloadOctets;
  if (absl::Status checked = CheckCanonicalObject(untrusted.canonical_payload, limits);
      !checked.ok()) {
    return Wrong("canonical_payload", std::string(checked.message()));
  }
  if (untrusted.served_weights.size() > kMaxServedModels)
    return Wrong("served_weights", "too many models");
  for (const auto& [model, digest] : untrusted.served_weights) {
    RETURN_IF_ERROR(ModelId::Parse(model).status());
    RETURN_IF_ERROR(Sha256Hex::Parse(digest).status());
  }
  if (untrusted.raw_response.empty() != untrusted.raw_signature.empty()) {
    return Wrong("raw_signature", "goes with raw_response, and only with it");
  }
  return absl::OkStatus();
}

std::string ServedWeights(const ResultFields& fields) {
  std::string out = "{";
  for (const auto& [model, digest] : fields.served_weights) {
    if (out.size() > 1) out += ',';
    out += Cat(CanonicalString(model), ":", CanonicalString(digest));
  }
  return out + "}";
}

// The members of 5.5 in their sorted order.
std::string ComposeBody(const ResultFields& fields, const UnitRow& unit,
                        const UntrustedCompletion& untrusted) {
  std::string out =
      Cat("{\"assignment_id\":", CanonicalString(unit.assignment_id),
          ",\"completed_at\":", CanonicalString(fields.completed_at),
          ",\"exit_code\":", fields.exit_code, ",\"payload\":", fields.canonical_payload,
          ",\"ran_under\":", CanonicalString(fields.ran_under));
  if (!untrusted.raw_response.empty()) {
    out += Cat(",\"raw_response\":", CanonicalString(untrusted.raw_response),
               ",\"raw_signature\":", CanonicalString(Base64Encode(untrusted.raw_signature)));
  }
  out +=
      Cat(",\"schema_version\":2,\"served_weights\":", ServedWeights(fields),
          ",\"unit_id\":", CanonicalString(fields.unit_id),
          ",\"worker_pubkey\":", CanonicalString(fields.worker_pubkey),
          ",\"worker_signature\":", CanonicalString(Base64Encode(untrusted.worker_signature)), "}");
  return out;
}

}  // namespace

absl::StatusOr<CheckedCompletion> CheckCompletion(const UntrustedCompletion& untrusted,
                                                  const UnitRow& unit,
                                                  std::string_view public_key_hex) {
  RETURN_IF_ERROR(CheckFields(untrusted));
  ASSIGN_OR_RETURN(const PublicKeyHex key, PublicKeyHex::Parse(untrusted.worker_pubkey));
  if (key.str() != public_key_hex) return Wrong("worker_pubkey", "is not this worker's key");
  const std::string key_octets = HexDecode(key.str()).value_or("");

  ResultFields fields;
  fields.unit_id = unit.unit_id;
  fields.worker_pubkey = key.str();
  fields.completed_at = std::string(untrusted.completed_at);
  fields.exit_code = untrusted.exit_code;
  fields.canonical_payload = std::string(untrusted.canonical_payload);
  fields.ran_under = std::string(untrusted.ran_under);
  for (const auto& [model, digest] : untrusted.served_weights) {
    ASSIGN_OR_RETURN(const Sha256Hex parsed, Sha256Hex::Parse(digest));
    fields.served_weights[model] = parsed.str();
  }
  ASSIGN_OR_RETURN(const std::string signed_octets, CanonicalResult(fields));
  if (!Ed25519Verify(key_octets, signed_octets, untrusted.worker_signature)) {
    return Wrong("worker_signature", "does not verify over this result");
  }
  if (Sha256(signed_octets) != untrusted.result_sha256) {
    return Wrong("result_sha256", "is not the digest of the signed result");
  }
  if (!untrusted.raw_response.empty()) {
    ASSIGN_OR_RETURN(const std::string raw_octets,
                     CanonicalRawText(unit.unit_id, key.str(), untrusted.raw_response));
    if (!Ed25519Verify(key_octets, raw_octets, untrusted.raw_signature)) {
      return Wrong("raw_signature", "does not verify over raw_response");
    }
  }

  CheckedCompletion checked;
  checked.completed_at = fields.completed_at;
  checked.exit_code = fields.exit_code;
  checked.ran_under = fields.ran_under;
  checked.worker_pubkey = key.str();
  checked.signature = std::string(untrusted.worker_signature);
  checked.result_sha256 = HexEncode(untrusted.result_sha256);
  checked.body = ComposeBody(fields, unit, untrusted);
  if (checked.body.size() > kMaxBodyOctets) {
    return Wrong("canonical_payload", Cat("the request would have ", checked.body.size(),
                                          " octets, a coordinator takes ", kMaxBodyOctets));
  }
  fields.ran_under.clear();
  ASSIGN_OR_RETURN(const std::string early_octets, CanonicalResult(fields));
  checked.result_sha256_early = Sha256HexOf(early_octets);
  checked.canonical_payload = std::move(fields.canonical_payload);
  return checked;
}

}  // namespace auspex::stated
