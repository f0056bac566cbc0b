// SPDX-License-Identifier: AGPL-3.0-only
#include "common/wire/result.h"

#include "common/base/cat.h"
#include "common/crypto/sha256.h"
#include "common/json/canonical.h"
#include "common/json/utf8.h"

namespace auspex {
namespace {

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

JsonValue ServedWeights(const std::map<std::string, std::string>& digests) {
  JsonObject members;
  for (const auto& [model, digest] : digests) members.emplace(model, Lower(digest));
  return JsonValue(std::move(members));
}

}  // namespace

absl::StatusOr<std::string> CanonicalResult(const ResultFields& fields) {
  if (fields.schema_version < 0 || fields.schema_version > 2) {
    return absl::InvalidArgumentError(
        Cat("result: schema_version ", fields.schema_version, " is not 0, 1 or 2"));
  }
  // The member names are fixed, so that their sorted order is written down here instead of
  // computed.
  std::string out =
      Cat("{\"completed_at\":", CanonicalString(fields.completed_at),
          ",\"exit_code\":", fields.exit_code, ",\"payload\":", fields.canonical_payload);
  if (fields.schema_version >= 2) {
    out += Cat(",\"ran_under\":", CanonicalString(Lower(fields.ran_under)));
  }
  if (fields.schema_version >= 1) {
    out += Cat(",\"schema_version\":", fields.schema_version,
               ",\"served_weights\":", WriteCanonical(ServedWeights(fields.served_weights)));
  }
  out += Cat(",\"unit_id\":", CanonicalString(fields.unit_id),
             ",\"worker_pubkey\":", CanonicalString(Lower(fields.worker_pubkey)), "}");
  return out;
}

absl::StatusOr<std::string> CanonicalRawText(std::string_view unit_id,
                                             std::string_view worker_pubkey,
                                             std::string_view raw_text) {
  if (!IsUtf8(raw_text)) return absl::InvalidArgumentError("raw text: is not UTF-8");
  return CanonicalRawTextOfDigest(unit_id, worker_pubkey, Sha256HexOf(raw_text));
}

std::string CanonicalRawTextOfDigest(std::string_view unit_id, std::string_view worker_pubkey,
                                     std::string_view raw_sha256_hex) {
  return Cat("{\"raw_response_sha256\":", CanonicalString(Lower(raw_sha256_hex)),
             ",\"unit_id\":", CanonicalString(unit_id),
             ",\"worker_pubkey\":", CanonicalString(Lower(worker_pubkey)), "}");
}

std::string SemanticHash(int64_t exit_code, std::string_view canonical_payload) {
  return Sha256HexOf(Cat("{\"exit_code\":", exit_code, ",\"payload\":", canonical_payload, "}"));
}

}  // namespace auspex
