// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/seal.h"

#include <sodium/crypto_aead_xchacha20poly1305.h>
#include <sodium/crypto_generichash_blake2b.h>
#include <sodium/crypto_pwhash_argon2id.h>
#include <sodium/randombytes.h>
#include <unistd.h>

#include <cstdlib>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"
#include "common/journal/record.h"

namespace auspex::keyd {
namespace {

constexpr std::string_view kMagic = "auspex sealed\r\n\x1a";
static_assert(kMagic.size() == 16);
constexpr uint32_t kVersion = 1;
constexpr char kPersonal[] = "auspex-keyd-seal";  // 16 octets, as BLAKE2b's personalisation takes
static_assert(sizeof kPersonal - 1 == crypto_generichash_blake2b_PERSONALBYTES);

// Places in the header.
constexpr size_t kKindAt = 20, kPassesAt = 24, kMemoryAt = 32, kSaltAt = 40, kNonceAt = 56,
                 kPublicAt = 80, kHeaderOctets = 112;
constexpr size_t kSaltOctets = 16, kNonceOctets = 24;
static_assert(kSaltOctets == crypto_generichash_blake2b_SALTBYTES &&
              kSaltOctets == crypto_pwhash_argon2id_SALTBYTES &&
              kNonceOctets == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES &&
              kHeaderOctets + SecretKey::kSeedOctets + crypto_aead_xchacha20poly1305_ietf_ABYTES ==
                  kSealedOctets);

constexpr size_t kMaxSourceOctets = 64 * 1024;

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string FromEnv(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

absl::Status Missing(std::string_view what) {
  return absl::FailedPreconditionError(Cat("seal: ", what));
}

// The source's secret text. The caller wipes it.
absl::StatusOr<std::string> ReadSource(SealKind kind, const SealSources& sources) {
  const std::string* path = &sources.local_secret_path;
  size_t least = 32;
  if (kind == SealKind::kCredential) {
    path = &sources.credential_path;
    least = 16;
    if (path->empty()) {
      return Missing(
          "the key is sealed with the systemd credential auspex-keyd-seal, which was not given; "
          "start keyd through its "
          "unit, or add LoadCredentialEncrypted=auspex-keyd-seal");
    }
  } else if (kind == SealKind::kPassphrase) {
    path = &sources.passphrase_path;
    least = 8;
    if (path->empty()) {
      return Missing(
          "the key is sealed with a passphrase; set AUSPEX_KEYD_PASSPHRASE_FILE to its file");
    }
  }
  ASSIGN_OR_RETURN(std::string secret, ReadFile(*path, kMaxSourceOctets));
  if (kind == SealKind::kPassphrase) {
    while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r')) secret.pop_back();
  }
  if (secret.size() < least) {
    Wipe(secret);
    return Missing(Cat(*path, " holds fewer than ", least, " octets"));
  }
  return secret;
}

absl::StatusOr<SecretMemory> DeriveSealKey(SealKind kind, const SealSources& sources,
                                           const PassphraseCost& cost, std::string_view salt) {
  ASSIGN_OR_RETURN(SecretMemory key,
                   SecretMemory::Create(crypto_aead_xchacha20poly1305_ietf_KEYBYTES));
  ASSIGN_OR_RETURN(std::string secret, ReadSource(kind, sources));
  int failed;
  if (kind == SealKind::kPassphrase) {
    failed = crypto_pwhash_argon2id(key.octets().data(), key.octets().size(), secret.data(),
                                    secret.size(), Bytes(salt), cost.passes,
                                    static_cast<size_t>(cost.memory_octets),
                                    crypto_pwhash_argon2id_ALG_ARGON2ID13);
  } else {
    failed = crypto_generichash_blake2b_salt_personal(
        key.octets().data(), key.octets().size(), Bytes(secret), secret.size(), nullptr, 0,
        Bytes(salt), reinterpret_cast<const unsigned char*>(kPersonal));
  }
  Wipe(secret);
  if (failed != 0) {
    return absl::ResourceExhaustedError(
        Cat("seal: no memory for Argon2id (", cost.memory_octets, " octets)"));
  }
  return key;
}

absl::StatusOr<PassphraseCost> CostIn(std::string_view sealed, SealKind kind) {
  const PassphraseCost cost{ReadLe(sealed.substr(kPassesAt, 8)),
                            ReadLe(sealed.substr(kMemoryAt, 8))};
  if (kind != SealKind::kPassphrase) return cost;
  if (cost.passes < 1 || cost.passes > 10 || cost.memory_octets < (8ull << 20) ||
      cost.memory_octets > (1ull << 30)) {
    return absl::DataLossError("sealed key: the cost of the passphrase is out of range");
  }
  return cost;
}

}  // namespace

std::string_view SealWord(SealKind kind) {
  switch (kind) {
    case SealKind::kCredential:
      return "credential";
    case SealKind::kPassphrase:
      return "passphrase";
    case SealKind::kLocalSecret:
      return "local-secret";
  }
  return "unknown";
}

SealSources SealSources::FromEnvironment(const std::string& state_dir) {
  SealSources sources;
  if (const std::string folder = FromEnv("CREDENTIALS_DIRECTORY"); !folder.empty()) {
    const std::string path = Cat(folder, "/", kPersonal);
    if (::access(path.c_str(), F_OK) == 0) sources.credential_path = path;
  }
  sources.passphrase_path = FromEnv("AUSPEX_KEYD_PASSPHRASE_FILE");
  sources.local_secret_path = state_dir + "/seal.key";
  return sources;
}

SealKind SealSources::Best() const {
  if (!credential_path.empty()) return SealKind::kCredential;
  if (!passphrase_path.empty()) return SealKind::kPassphrase;
  return SealKind::kLocalSecret;
}

absl::StatusOr<std::string> SealKey(const SecretKey& key, SealKind kind, const SealSources& sources,
                                    const PassphraseCost& cost) {
  std::string salt(kSaltOctets, '\0'), nonce(kNonceOctets, '\0');
  randombytes_buf(salt.data(), salt.size());
  randombytes_buf(nonce.data(), nonce.size());
  ASSIGN_OR_RETURN(SecretMemory seal_key, DeriveSealKey(kind, sources, cost, salt));

  const bool costs = kind == SealKind::kPassphrase;
  std::string sealed(kMagic);
  AppendLe(sealed, kVersion, 4);
  AppendLe(sealed, static_cast<uint8_t>(kind), 4);
  AppendLe(sealed, costs ? cost.passes : 0, 8);
  AppendLe(sealed, costs ? cost.memory_octets : 0, 8);
  sealed += salt;
  sealed += nonce;
  sealed += key.public_key();
  const std::string header = sealed;

  sealed.resize(kSealedOctets);
  unsigned long long written = 0;
  const auto seed = key.Seed(SecretKeyAccess::ForReviewedUse());
  crypto_aead_xchacha20poly1305_ietf_encrypt(
      reinterpret_cast<unsigned char*>(sealed.data()) + kHeaderOctets, &written, seed.data(),
      seed.size(), Bytes(header), header.size(), nullptr, Bytes(nonce), seal_key.octets().data());
  return sealed;
}

absl::StatusOr<SealKind> SealKindOf(std::string_view sealed) {
  if (sealed.size() != kSealedOctets || sealed.substr(0, kMagic.size()) != kMagic) {
    return absl::DataLossError("sealed key: this is no sealed key of auspex-keyd");
  }
  if (ReadLe(sealed.substr(kMagic.size(), 4)) != kVersion) {
    return absl::FailedPreconditionError("sealed key: its version is not known to this release");
  }
  const uint64_t kind = ReadLe(sealed.substr(kKindAt, 4));
  if (kind < 1 || kind > 3) return absl::DataLossError("sealed key: unknown kind of seal");
  return SealKind{static_cast<uint8_t>(kind)};
}

absl::StatusOr<SecretKey> UnsealKey(std::string_view sealed, const SealSources& sources) {
  ASSIGN_OR_RETURN(const SealKind kind, SealKindOf(sealed));
  ASSIGN_OR_RETURN(const PassphraseCost cost, CostIn(sealed, kind));
  ASSIGN_OR_RETURN(SecretMemory seal_key,
                   DeriveSealKey(kind, sources, cost, sealed.substr(kSaltAt, kSaltOctets)));
  ASSIGN_OR_RETURN(SecretMemory seed, SecretMemory::Create(SecretKey::kSeedOctets));
  const std::string_view header = sealed.substr(0, kHeaderOctets);
  const std::string_view box = sealed.substr(kHeaderOctets);
  unsigned long long written = 0;
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          seed.octets().data(), &written, nullptr, Bytes(box), box.size(), Bytes(header),
          header.size(), Bytes(sealed.substr(kNonceAt, kNonceOctets)),
          seal_key.octets().data()) != 0) {
    return absl::FailedPreconditionError(
        Cat("sealed key: does not open: the ", SealWord(kind),
            " is not the one it was sealed with, or the file was changed"));
  }
  ASSIGN_OR_RETURN(SecretKey key, SecretKey::FromSeed(std::move(seed)));
  if (key.public_key() != sealed.substr(kPublicAt, 32)) {
    return absl::DataLossError("sealed key: the public key in the header is another one");
  }
  return key;
}

}  // namespace auspex::keyd
