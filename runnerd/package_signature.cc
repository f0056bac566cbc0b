// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/package_signature.h"

#include <optional>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/crypto/ed25519.h"
#include "common/json/reader.h"

namespace auspex::runnerd {
namespace {

constexpr std::string_view kVersion = "auspex-1";

absl::Status Bad(std::string_view why) {
  return absl::UnauthenticatedError(Cat("manifest.json.sig: ", why));
}

}  // namespace

std::string ManifestSignatureMessage(const Sha256Hex& manifest_sha256) {
  return Cat("auspex-manifest-v1\n", manifest_sha256.str(), "\n");
}

absl::Status CheckManifestSignature(std::string_view untrusted_text,
                                    const Sha256Hex& manifest_sha256, const PublicKeyHex& key) {
  if (untrusted_text.empty()) return Bad("is missing, and a key of the tenant is pinned");
  JsonLimits limits;
  limits.max_octets = kMaxManifestSignature;
  limits.max_depth = 4;
  limits.allow_non_finite = false;
  limits.allow_duplicate_names = false;
  const absl::StatusOr<JsonValue> json = ReadJson(untrusted_text, limits);
  if (!json.ok()) return Bad(std::string(json.status().message()));
  if (json->as_object() == nullptr) return Bad("is no JSON object");
  const std::string* version = json->FindString("sig_v");
  if (version == nullptr) return Bad("has no sig_v");
  // The tenant SDK's own "0.1" signs a text that cannot be had back from a manifest.
  if (*version != kVersion)
    return Bad(Cat("has sig_v '", Printable(*version, 20), "', not '", kVersion, "'"));
  const std::string* signer = json->FindString("maintainer_pubkey");
  const absl::StatusOr<PublicKeyHex> signer_key =
      PublicKeyHex::Parse(signer == nullptr ? "" : *signer);
  if (!signer_key.ok()) return Bad("maintainer_pubkey is not 64 hex digits");
  if (*signer_key != key) return Bad("is by another key than the owner pinned for the tenant");
  const std::string* text = json->FindString("signature");
  const std::optional<std::string> signature = Base64Decode(text == nullptr ? "" : *text);
  if (!signature || signature->size() != 64) return Bad("signature is not 64 octets in base64");
  if (!Ed25519Verify(*HexDecode(key.str()), ManifestSignatureMessage(manifest_sha256), *signature))
    return Bad("signature does not verify");
  return absl::OkStatus();
}

}  // namespace auspex::runnerd
