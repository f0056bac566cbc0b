// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/secret_key.h"

#include <sodium/crypto_sign_ed25519.h>
#include <sodium/randombytes.h>

#include <utility>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"

namespace auspex::keyd {

SecretKey::SecretKey(SecretMemory expanded) : expanded_(std::move(expanded)) {
  const std::span<const unsigned char> pub = expanded_.octets().subspan(kSeedOctets);
  public_key_.assign(reinterpret_cast<const char*>(pub.data()), pub.size());
  public_key_hex_ = HexEncode(public_key_);
}

absl::StatusOr<SecretKey> SecretKey::Generate() {
  ASSIGN_OR_RETURN(SecretMemory seed, SecretMemory::Create(kSeedOctets));
  randombytes_buf(seed.octets().data(), seed.octets().size());
  return FromSeed(std::move(seed));
}

absl::StatusOr<SecretKey> SecretKey::FromSeed(SecretMemory seed) {
  if (seed.octets().size() != kSeedOctets) {
    return absl::InvalidArgumentError(Cat("seed: ", seed.octets().size(), " octets, not 32"));
  }
  ASSIGN_OR_RETURN(SecretMemory expanded, SecretMemory::Create(crypto_sign_ed25519_SECRETKEYBYTES));
  unsigned char public_key[crypto_sign_ed25519_PUBLICKEYBYTES];
  const int failed =
      crypto_sign_ed25519_seed_keypair(public_key, expanded.octets().data(), seed.octets().data());
  WipeStack();
  if (failed != 0) {
    return absl::InternalError("seed: libsodium made no key of it");
  }
  return SecretKey(std::move(expanded));
}

}  // namespace auspex::keyd
