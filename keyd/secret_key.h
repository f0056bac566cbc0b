// SPDX-License-Identifier: AGPL-3.0-only
// SecretKey: one Ed25519 key pair (RFC 8032). The private half lies in SecretMemory and is read
// only with a SecretKeyAccess token; the public half is free to all. Move-only, immutable after it
// was made, safe to read from any thread.
#ifndef AUSPEX_KEYD_SECRET_KEY_H_
#define AUSPEX_KEYD_SECRET_KEY_H_

#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "keyd/secret_key_access.h"
#include "keyd/secret_memory.h"

namespace auspex::keyd {

class SecretKey {
 public:
  static constexpr size_t kSeedOctets = 32;

  // A fresh key from the system's random source. RESOURCE_EXHAUSTED as SecretMemory.
  static absl::StatusOr<SecretKey> Generate();
  // The key of a seed (32 octets, RFC 8032 section 5.1.5); `seed` is wiped with its memory.
  static absl::StatusOr<SecretKey> FromSeed(SecretMemory seed);

  // 32 octets.
  const std::string& public_key() const { return public_key_; }
  // 64 lower-case hex digits.
  const std::string& public_key_hex() const { return public_key_hex_; }
  SecretMemory::Kind memory_kind() const { return expanded_.kind(); }

  // The seed, 32 octets. Valid as long as this object.
  std::span<const unsigned char> Seed(SecretKeyAccess) const {
    return expanded_.octets().first(kSeedOctets);
  }
  // Seed and public key, 64 octets: the form in which libsodium signs.
  std::span<const unsigned char> SigningForm(SecretKeyAccess) const { return expanded_.octets(); }

 private:
  explicit SecretKey(SecretMemory expanded);
  SecretMemory expanded_;
  std::string public_key_, public_key_hex_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_SECRET_KEY_H_
