// SPDX-License-Identifier: AGPL-3.0-only
// Ed25519 verification (RFC 8032, pure) over libsodium. Signing lives in keyd (workers) and coordd (receipts), nowhere
// else. Safe from any thread.
#ifndef AUSPEX_COMMON_CRYPTO_ED25519_H_
#define AUSPEX_COMMON_CRYPTO_ED25519_H_

#include <string_view>

namespace auspex {

// True when `signature` (64 octets) is a valid signature of `message` under `public_key` (32 octets). Wrong lengths are false.
bool Ed25519Verify(std::string_view public_key, std::string_view message,
                   std::string_view signature);

}  // namespace auspex

#endif  // AUSPEX_COMMON_CRYPTO_ED25519_H_
