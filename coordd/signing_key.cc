// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/signing_key.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sodium/crypto_sign.h>
#include <sodium/randombytes.h>
#include <sodium/utils.h>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"

namespace auspex::coordd {
namespace {

using PkeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;

absl::StatusOr<std::string> MakePem() {
  unsigned char seed[crypto_sign_SEEDBYTES];
  randombytes_buf(seed, sizeof seed);
  PkeyPtr key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed, sizeof seed),
              &EVP_PKEY_free);
  sodium_memzero(seed, sizeof seed);
  BioPtr bio(BIO_new(BIO_s_mem()), &BIO_free);
  if (!key || !bio ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    return absl::InternalError("signing key: cannot be encoded");
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

}  // namespace

// libsodium's 64-octet form (seed and public key), wiped on destruction.
struct SigningKey::Secret {
  unsigned char octets[crypto_sign_SECRETKEYBYTES] = {};
  ~Secret() { sodium_memzero(octets, sizeof octets); }
};

absl::StatusOr<SigningKey> SigningKey::LoadOrCreate(const std::string& path) {
  absl::StatusOr<std::string> pem = ReadFile(path, 16 * 1024);
  if (absl::IsNotFound(pem.status())) {
    ASSIGN_OR_RETURN(pem, MakePem());
    RETURN_IF_ERROR(WriteFileAtomically(path, *pem, 0600));
  }
  RETURN_IF_ERROR(pem.status());
  BioPtr bio(BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())), &BIO_free);
  PkeyPtr key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr) : nullptr,
              &EVP_PKEY_free);
  sodium_memzero(pem->data(), pem->size());
  unsigned char seed[crypto_sign_SEEDBYTES];
  size_t length = sizeof seed;
  if (!key || EVP_PKEY_get_raw_private_key(key.get(), seed, &length) != 1 ||
      length != sizeof seed) {
    return absl::InvalidArgumentError(
        Cat("signing key ", path, ": not an Ed25519 key in PKCS#8 PEM"));
  }
  auto secret = std::make_shared<Secret>();
  unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
  crypto_sign_seed_keypair(public_key, secret->octets, seed);
  sodium_memzero(seed, sizeof seed);
  SigningKey out;
  out.secret_ = std::move(secret);
  out.public_key_hex_ =
      HexEncode(std::string_view(reinterpret_cast<const char*>(public_key), sizeof public_key));
  return out;
}

std::string SigningKey::Sign(std::string_view message) const {
  std::string out(crypto_sign_BYTES, '\0');
  crypto_sign_detached(reinterpret_cast<unsigned char*>(out.data()), nullptr,
                       reinterpret_cast<const unsigned char*>(message.data()), message.size(),
                       secret_->octets);
  return out;
}

}  // namespace auspex::coordd
