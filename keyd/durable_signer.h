// SPDX-License-Identifier: AGPL-3.0-only
// The one place that makes signatures. They come locked up: the octets leave an UnreleasedSignature
// only against the journal's proof that exactly this message was recorded, so that "no signature is
// released before its durable record" (promise P4) is a matter of types and one comparison, and the
// curve can be computed while the disk works. Values, safe from any thread as such.
#ifndef AUSPEX_KEYD_DURABLE_SIGNER_H_
#define AUSPEX_KEYD_DURABLE_SIGNER_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "keyd/journal.h"
#include "keyd/secret_key.h"

namespace auspex::keyd {

class UnreleasedSignature {
 public:
  // The Ed25519 signature of `message` by `key`. INTERNAL when libsodium refuses.
  static absl::StatusOr<UnreleasedSignature> Make(const SecretKey& key, std::string_view message);
  // The 64 octets. INTERNAL when `proof` is not of a signing of this very message.
  absl::StatusOr<std::string> Release(const DurableRecord& proof) const;

 private:
  UnreleasedSignature() = default;
  std::string message_sha256_;
  std::string octets_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_DURABLE_SIGNER_H_
