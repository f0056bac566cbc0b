// SPDX-License-Identifier: AGPL-3.0-only
#include "common/crypto/ed25519.h"

#include <sodium/crypto_sign_ed25519.h>

namespace auspex {

bool Ed25519Verify(std::string_view public_key, std::string_view message,
                   std::string_view signature) {
  if (public_key.size() != crypto_sign_ed25519_PUBLICKEYBYTES ||
      signature.size() != crypto_sign_ed25519_BYTES) {
    return false;
  }
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
  };
  return crypto_sign_ed25519_verify_detached(bytes(signature), bytes(message), message.size(),
                                             bytes(public_key)) == 0;
}

}  // namespace auspex
