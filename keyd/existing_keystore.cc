// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/existing_keystore.h"

#include <sodium/crypto_aead_chacha20poly1305.h>
#include <sodium/crypto_auth_hmacsha256.h>
#include <sodium/utils.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"

namespace auspex::keyd {
namespace {

constexpr size_t kSeedOctets = 32;
constexpr std::string_view kMagic = "AKWv";
constexpr unsigned char kVersion = 1;
constexpr size_t kNonceOctets = crypto_aead_chacha20poly1305_ietf_NPUBBYTES;
constexpr size_t kHeaderOctets = 4 + 1 + kNonceOctets;
constexpr size_t kFileOctets =
    kHeaderOctets + kSeedOctets + crypto_aead_chacha20poly1305_ietf_ABYTES;
static_assert(kFileOctets == 65);
constexpr std::string_view kInfo = "auspexai-worker-keystore-v0";

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// HKDF-SHA256 (RFC 5869) without salt, one block of output: exactly what libsodium's HMAC gives.
void Hkdf(std::string_view input, std::span<unsigned char> output) {
  static_assert(crypto_auth_hmacsha256_BYTES == 32);
  const unsigned char no_salt[crypto_auth_hmacsha256_BYTES] = {};
  unsigned char extracted[crypto_auth_hmacsha256_BYTES];
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, no_salt, sizeof no_salt);
  crypto_auth_hmacsha256_update(&state, Bytes(input), input.size());
  crypto_auth_hmacsha256_final(&state, extracted);
  crypto_auth_hmacsha256_init(&state, extracted, sizeof extracted);
  crypto_auth_hmacsha256_update(&state, Bytes(kInfo), kInfo.size());
  const unsigned char first_block = 1;
  crypto_auth_hmacsha256_update(&state, &first_block, 1);
  crypto_auth_hmacsha256_final(&state, output.data());
  sodium_memzero(extracted, sizeof extracted);
  sodium_memzero(&state, sizeof state);
}

int HexValue(unsigned char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

std::string_view TextOf(std::span<const unsigned char> octets) {
  return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

// Why a file that is no seed is none, for the forms that people have lying about.
absl::Status NoSeed(std::span<const unsigned char> file) {
  const std::string_view text = TextOf(file);
  if (text.find("-----BEGIN") != std::string_view::npos) {
    return absl::InvalidArgumentError(
        "import: this is a PEM or OpenSSH key file, not a raw seed; a raw seed is the 32 octets of "
        "an Ed25519 private key, or their 64 hex digits");
  }
  if (text.starts_with(kMagic)) {
    return absl::InvalidArgumentError(
        "import: this is a keystore.enc, not a raw seed; name --format keystore-enc, or no format");
  }
  return absl::InvalidArgumentError(
      Cat("import: ", file.size(),
          " octets are no raw seed: that is 32 octets, or 64 hex digits and a line end"));
}

}  // namespace

std::string MachineIdentity() {
  for (const char* path : {"/etc/machine-id", "/var/lib/dbus/machine-id"}) {
    // A file that cannot be read is passed over like one that is missing.
    const absl::StatusOr<std::string> text = ReadFile(path, 4096, Links::kFollow);
    if (!text.ok()) continue;
    const size_t begin = text->find_first_not_of(" \t\r\n");
    if (begin == std::string::npos) continue;
    const size_t end = text->find_last_not_of(" \t\r\n");
    return Cat(text->substr(begin, end - begin + 1), ":", ::geteuid());
  }
  return "";
}

absl::StatusOr<SecretMemory> SeedFromRaw(std::span<const unsigned char> untrusted_file) {
  ASSIGN_OR_RETURN(SecretMemory seed, SecretMemory::Create(kSeedOctets));
  const size_t size = untrusted_file.size();
  if (size == kSeedOctets) {
    std::copy(untrusted_file.begin(), untrusted_file.end(), seed.octets().begin());
    return seed;
  }
  const bool line_end =
      size == 65 ? untrusted_file[64] == '\n'
                 : size == 66 && untrusted_file[64] == '\r' && untrusted_file[65] == '\n';
  if (size != 64 && !line_end) return NoSeed(untrusted_file);
  for (size_t i = 0; i < kSeedOctets; ++i) {
    const int high = HexValue(untrusted_file[2 * i]), low = HexValue(untrusted_file[2 * i + 1]);
    if (high < 0 || low < 0) return NoSeed(untrusted_file);
    seed.octets()[i] = static_cast<unsigned char>(high * 16 + low);
  }
  return seed;
}

absl::StatusOr<SecretMemory> SeedFromKeystoreEnc(std::span<const unsigned char> untrusted_file,
                                                 const std::string& machine_identity) {
  if (!TextOf(untrusted_file).starts_with(kMagic)) {
    return absl::InvalidArgumentError("import: no keystore.enc: it does not begin with AKWv");
  }
  if (untrusted_file.size() > 4 && untrusted_file[4] != kVersion) {
    return absl::InvalidArgumentError(Cat("import: keystore.enc of version ",
                                          static_cast<int>(untrusted_file[4]),
                                          "; only version 1 is known"));
  }
  if (untrusted_file.size() != kFileOctets) {
    return absl::InvalidArgumentError(Cat("import: keystore.enc of ", untrusted_file.size(),
                                          " octets, not ", kFileOctets, ": it was cut or changed"));
  }
  if (machine_identity.empty()) {
    return absl::FailedPreconditionError(
        "import: this machine has no machine id (/etc/machine-id), which the existing worker's "
        "keystore.enc is encrypted with");
  }
  ASSIGN_OR_RETURN(SecretMemory key,
                   SecretMemory::Create(crypto_aead_chacha20poly1305_ietf_KEYBYTES));
  Hkdf(machine_identity, key.octets());
  ASSIGN_OR_RETURN(SecretMemory seed, SecretMemory::Create(kSeedOctets));
  unsigned long long written = 0;
  if (crypto_aead_chacha20poly1305_ietf_decrypt(
          seed.octets().data(), &written, nullptr, untrusted_file.data() + kHeaderOctets,
          untrusted_file.size() - kHeaderOctets, Bytes(kMagic), kMagic.size(),
          untrusted_file.data() + 5, key.octets().data()) != 0) {
    return absl::FailedPreconditionError(
        "import: keystore.enc does not open: it was made on another machine, by another user, or "
        "is damaged. Import it where it was made, as the user who made it; from there the key "
        "moves as a sealed file: `auspex key seal --keystore sealed-file --seal passphrase`, then "
        "carry the folder of keyd's state over");
  }
  return seed;
}

absl::StatusOr<SecretMemory> SeedFromFile(std::span<const unsigned char> untrusted_file,
                                          KeyFormat format, const std::string& machine_identity) {
  // No raw seed looks like it: of 65 octets the first 64 would be hex digits.
  const bool looks_encrypted =
      TextOf(untrusted_file).starts_with(kMagic) && untrusted_file.size() != kSeedOctets;
  if (format == KeyFormat::kKeystoreEnc || (format == KeyFormat::kGuess && looks_encrypted)) {
    return SeedFromKeystoreEnc(untrusted_file, machine_identity);
  }
  return SeedFromRaw(untrusted_file);
}

}  // namespace auspex::keyd
