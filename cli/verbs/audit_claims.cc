// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/verbs/audit_claims.h"

#include <map>
#include <utility>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"
#include "common/crypto/ed25519.h"
#include "common/crypto/sha256.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "common/receipt/receipt.h"
#include "common/wire/result.h"

namespace auspex::cli {
namespace {

absl::Status No(std::string_view source, std::string_view why) {
  return absl::InvalidArgumentError(Cat(source, ": ", why));
}

// The octets that the signature of the result in `object` covers.
absl::StatusOr<std::string> SignedOctets(const std::string& source, const JsonValue& object) {
  ResultFields fields;
  const std::string* unit = object.FindString("unit_id");
  const std::string* key = object.FindString("worker_pubkey");
  const std::string* completed = object.FindString("completed_at");
  const JsonValue* exit_code = object.Find("exit_code");
  const JsonValue* payload = object.Find("payload");
  if (unit == nullptr || key == nullptr || completed == nullptr || exit_code == nullptr ||
      !exit_code->AsInt64() || payload == nullptr || payload->as_object() == nullptr) {
    return No(source,
              "is no result: it needs unit_id, worker_pubkey, completed_at, exit_code and payload");
  }
  fields.unit_id = *unit;
  fields.worker_pubkey = *key;
  fields.completed_at = *completed;
  fields.exit_code = *exit_code->AsInt64();
  fields.canonical_payload = WriteCanonical(*payload);
  fields.schema_version = 0;
  if (const JsonValue* version = object.Find("schema_version")) {
    const std::optional<int64_t> number = version->AsInt64();
    if (!number || *number < 0 || *number > 2) return No(source, "schema_version is not 0, 1 or 2");
    fields.schema_version = static_cast<int>(*number);
  }
  if (const JsonValue* weights = object.Find("served_weights")) {
    if (weights->as_object() == nullptr) return No(source, "served_weights is no object");
    for (const auto& [model, digest] : *weights->as_object()) {
      if (digest.as_string() == nullptr) return No(source, "served_weights: a digest is no text");
      fields.served_weights[model] = *digest.as_string();
    }
  }
  if (const std::string* word = object.FindString("ran_under")) fields.ran_under = *word;
  return CanonicalResult(fields);
}

}  // namespace

absl::StatusOr<Claim> ClaimOfResult(std::string source, std::string_view untrusted_text,
                                    const std::string& signature_base64) {
  const absl::StatusOr<JsonValue> object = ReadJson(untrusted_text);
  if (!object.ok()) return No(source, std::string(object.status().message()));
  ASSIGN_OR_RETURN(const std::string octets, SignedOctets(source, *object));
  Claim claim{.source = std::move(source), .result = true};
  claim.digests.push_back(ToDigest(Sha256(octets)));
  const std::optional<std::string> key = HexDecode(*object->FindString("worker_pubkey"));
  if (!key || key->size() != 32) return No(claim.source, "worker_pubkey is not 64 hex digits");
  claim.key = *key;
  const std::string* inside = object->FindString("worker_signature");
  const std::string& text =
      !signature_base64.empty() || inside == nullptr ? signature_base64 : *inside;
  if (text.empty()) return claim;
  const std::optional<std::string> signature = Base64Decode(text);
  if (!signature || !Ed25519Verify(*key, octets, *signature)) {
    return absl::DataLossError(Cat(claim.source,
                                   ": the signature does not hold over this result: whoever "
                                   "has it, has nothing that this key signed"));
  }
  claim.signature_holds = true;
  return claim;
}

absl::StatusOr<Claim> ClaimOfReceipt(std::string source, std::string_view untrusted_octets) {
  std::string envelope(untrusted_octets);
  if (!envelope.empty() && envelope[0] == '{') {
    const absl::StatusOr<JsonValue> object = ReadJson(untrusted_octets);
    const std::string* blob = object.ok() ? object->FindString("canonical_blob_b64") : nullptr;
    const std::optional<std::string> octets = blob == nullptr ? std::nullopt : Base64Decode(*blob);
    if (!octets || octets->empty()) {
      return No(source, "holds no receipt: JSON needs a member canonical_blob_b64");
    }
    envelope = *octets;
  }
  const absl::StatusOr<SignedReceipt> receipt = ParseReceipt(envelope);
  if (!receipt.ok()) {
    return absl::Status(receipt.status().code(),
                        Cat(source, ": ", std::string(receipt.status().message())));
  }
  Claim claim{.source = std::move(source),
              .result = true,
              .receipt = true,
              .key = receipt->receipt.worker_pubkey,
              .receipt_signer = receipt->signer_pubkey_hex};
  for (const Receipt::Anchor& anchor : receipt->receipt.anchors) {
    const std::optional<std::string> digest = HexDecode(anchor.result_sha256);
    if (!digest || digest->size() != 32) return No(claim.source, "an anchor names no digest");
    claim.digests.push_back(ToDigest(*digest));
  }
  if (claim.digests.empty()) return No(claim.source, "the receipt names no result");
  return claim;
}

}  // namespace auspex::cli
