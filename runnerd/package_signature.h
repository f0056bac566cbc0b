// SPDX-License-Identifier: AGPL-3.0-only
// A tenant's signature of a manifest, manifest.json.sig (docs/formats/manifest-signature.md). Pure
// functions, any thread.
#ifndef AUSPEX_RUNNERD_PACKAGE_SIGNATURE_H_
#define AUSPEX_RUNNERD_PACKAGE_SIGNATURE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/ids/ids.h"

namespace auspex::runnerd {

inline constexpr size_t kMaxManifestSignature = 16 * 1024;

// The octets that are signed for a manifest.
std::string ManifestSignatureMessage(const Sha256Hex& manifest_sha256);

// OK when `untrusted_text` is a signature of that manifest by `key`. UNAUTHENTICATED
// "manifest.json.sig: <why>" otherwise; an empty text is "is missing".
absl::Status CheckManifestSignature(std::string_view untrusted_text,
                                    const Sha256Hex& manifest_sha256, const PublicKeyHex& key);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_PACKAGE_SIGNATURE_H_
