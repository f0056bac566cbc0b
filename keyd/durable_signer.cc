// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/durable_signer.h"

#include <sodium/crypto_sign_ed25519.h>

#include "common/crypto/sha256.h"

namespace auspex::keyd {

absl::StatusOr<std::string> SignDurable(const SecretKey& key, const DurableRecord& proof,
                                        std::string_view message) {
  if (proof.outcome() != Outcome::kSigned || Sha256(message) != AsText(proof.digest())) {
    return absl::InternalError("signer: the journal's record is not of this message");
  }
  std::string signature(crypto_sign_ed25519_BYTES, '\0');
  const auto secret = key.SigningForm(SecretKeyAccess::ForReviewedUse());
  const int failed = crypto_sign_ed25519_detached(
      reinterpret_cast<unsigned char*>(signature.data()), nullptr,
      reinterpret_cast<const unsigned char*>(message.data()), message.size(), secret.data());
  WipeStack();
  if (failed != 0) {
    return absl::InternalError("signer: libsodium refused to sign");
  }
  return signature;
}

}  // namespace auspex::keyd
