// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/keyd/keystore_vectors.h"

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#include <cstdlib>
#include <memory>

namespace auspex::keyd {
namespace {

void Must(bool ok) {
  if (!ok) std::abort();
}

unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* Bytes(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::string KeystoreEncByOpenSsl(const std::string& seed, const std::string& machine_identity) {
  const std::string info = "auspexai-worker-keystore-v0", magic = "AKWv";
  std::string key(32, '\0'), nonce(12, '\0'), box(seed.size(), '\0'), tag(16, '\0');
  const std::unique_ptr<EVP_PKEY_CTX, void (*)(EVP_PKEY_CTX*)> kdf(
      EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr), EVP_PKEY_CTX_free);
  size_t length = key.size();
  Must(EVP_PKEY_derive_init(kdf.get()) > 0 &&
       EVP_PKEY_CTX_set_hkdf_md(kdf.get(), EVP_sha256()) > 0 &&
       EVP_PKEY_CTX_set1_hkdf_key(kdf.get(), Bytes(machine_identity),
                                  static_cast<int>(machine_identity.size())) > 0 &&
       EVP_PKEY_CTX_add1_hkdf_info(kdf.get(), Bytes(info), static_cast<int>(info.size())) > 0 &&
       EVP_PKEY_derive(kdf.get(), Bytes(key), &length) > 0);
  Must(RAND_bytes(Bytes(nonce), static_cast<int>(nonce.size())) == 1);
  const std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> cipher(EVP_CIPHER_CTX_new(),
                                                                          EVP_CIPHER_CTX_free);
  int written = 0;
  Must(EVP_EncryptInit_ex(cipher.get(), EVP_chacha20_poly1305(), nullptr, Bytes(key),
                          Bytes(nonce)) == 1 &&
       EVP_EncryptUpdate(cipher.get(), nullptr, &written, Bytes(magic),
                         static_cast<int>(magic.size())) == 1 &&
       EVP_EncryptUpdate(cipher.get(), Bytes(box), &written, Bytes(seed),
                         static_cast<int>(seed.size())) == 1 &&
       EVP_EncryptFinal_ex(cipher.get(), Bytes(box) + written, &written) == 1 &&
       EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, 16, Bytes(tag)) == 1);
  return magic + '\x01' + nonce + box + tag;
}

}  // namespace auspex::keyd
