// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/durable_signer.h"

#include <sodium/crypto_sign_ed25519.h>

#include "common/crypto/sha256.h"

namespace auspex::keyd {

absl::StatusOr<UnreleasedSignature> UnreleasedSignature::Make(const SecretKey& key,
                                                              std::string_view message) {
  UnreleasedSignature made;
  made.message_sha256_ = Sha256(message);
  made.octets_.resize(crypto_sign_ed25519_BYTES);
  const auto secret = key.SigningForm(SecretKeyAccess::ForReviewedUse());
  const int failed = crypto_sign_ed25519_detached(
      reinterpret_cast<unsigned char*>(made.octets_.data()), nullptr,
      reinterpret_cast<const unsigned char*>(message.data()), message.size(), secret.data());
  WipeStack();
  if (failed != 0) return absl::InternalError("signer: libsodium refused to sign");
  return made;
}

absl::StatusOr<std::string> UnreleasedSignature::Release(const DurableRecord& proof) const {
  if (proof.outcome() != Outcome::kSigned || message_sha256_ != AsText(proof.digest())) {
    return absl::InternalError("signer: the journal's record is not of this message");
  }
  return octets_;
}

}  // namespace auspex::keyd
