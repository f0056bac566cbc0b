// SPDX-License-Identifier: AGPL-3.0-only
// SHA-256 (FIPS 180-4) of octet strings and files, over libsodium. Safe from any thread.
#ifndef AUSPEX_COMMON_CRYPTO_SHA256_H_
#define AUSPEX_COMMON_CRYPTO_SHA256_H_

#include <sodium/crypto_hash_sha256.h>

#include <string>
#include <string_view>

namespace auspex {

// The 32 raw octets of SHA-256(octets).
std::string Sha256(std::string_view octets);
// The same as 64 lower-case hex digits.
std::string Sha256HexOf(std::string_view octets);

// Streaming form: Update any number of times, then Finish once. Not thread-safe.
class Sha256Stream {
 public:
  Sha256Stream();
  void Update(std::string_view octets);
  // 32 raw octets; the object must not be used afterwards.
  std::string Finish();

 private:
  crypto_hash_sha256_state state_;
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_CRYPTO_SHA256_H_
