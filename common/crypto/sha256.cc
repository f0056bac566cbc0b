// SPDX-License-Identifier: AGPL-3.0-only
#include "common/crypto/sha256.h"

#include "common/base/encoding.h"

namespace auspex {
namespace {
const unsigned char* Bytes(std::string_view octets) {
  return reinterpret_cast<const unsigned char*>(octets.data());
}
}  // namespace

std::string Sha256(std::string_view octets) {
  std::string out(crypto_hash_sha256_BYTES, '\0');
  crypto_hash_sha256(reinterpret_cast<unsigned char*>(out.data()), Bytes(octets), octets.size());
  return out;
}

std::string Sha256HexOf(std::string_view octets) { return HexEncode(Sha256(octets)); }

Sha256Stream::Sha256Stream() { crypto_hash_sha256_init(&state_); }

void Sha256Stream::Update(std::string_view octets) {
  crypto_hash_sha256_update(&state_, Bytes(octets), octets.size());
}

std::string Sha256Stream::Finish() {
  std::string out(crypto_hash_sha256_BYTES, '\0');
  crypto_hash_sha256_final(&state_, reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

}  // namespace auspex
