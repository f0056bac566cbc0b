// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/seal.h"

#include <fcntl.h>
#include <sodium/crypto_aead_xchacha20poly1305.h>
#include <sodium/crypto_generichash_blake2b.h>
#include <sodium/crypto_pwhash_argon2id.h>
#include <sodium/randombytes.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"
#include "common/journal/record.h"

namespace auspex::keyd {
namespace {

constexpr std::string_view kMagic = "auspex sealed\r\n\x1a";
static_assert(kMagic.size() == 16);
constexpr uint32_t kVersion = 1;
constexpr char kPersonal[] = "auspex-keyd-seal";  // 16 octets, as BLAKE2b's personalisation takes
constexpr char kMachinePersonal[] = "auspex-keyd-mach";
static_assert(sizeof kPersonal - 1 == crypto_generichash_blake2b_PERSONALBYTES &&
              sizeof kMachinePersonal == sizeof kPersonal);

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
constexpr size_t kLeastPassphraseOctets = 8;
constexpr char kPassphraseFd[] = "AUSPEX_KEYD_PASSPHRASE_FD";
// How long whoever hands a passphrase over may take for it.
constexpr int kPassphraseMs = 5'000;

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

// Without its final line ends.
std::string_view WithoutLineEnds(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

// The whole file, at most kMaxSourceOctets, read straight to where the caller wipes it: a reader with a buffer of its own would
// leave a copy on the stack.
absl::StatusOr<std::string> ReadWithoutCopies(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return ErrnoStatus(errno, "open", path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "look at", path);
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(Cat(path, ": is not a regular file"));
  }
  std::string content(kMaxSourceOctets + 1, '\0');
  size_t size = 0;
  for (ssize_t got = 1; got > 0 && size < content.size(); size += static_cast<size_t>(got)) {
    got = ::read(fd.get(), content.data() + size, content.size() - size);
    if (got >= 0) continue;
    const int error = errno;
    Wipe(content);
    return ErrnoStatus(error, "read", path);
  }
  if (size > kMaxSourceOctets) {
    Wipe(content);
    return absl::ResourceExhaustedError(
        Cat(path, ": is larger than ", kMaxSourceOctets, " octets"));
  }
  content.resize(size);
  return content;
}

// The source's secret text from its file. The caller wipes it.
absl::StatusOr<std::string> ReadSource(SealKind kind, const SealSources& sources) {
  if (kind == SealKind::kMachine) {
    if (sources.machine_identity.empty()) {
      return Missing("there is no machine id (/etc/machine-id, /var/lib/dbus/machine-id)");
    }
    return sources.machine_identity;
  }
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
    least = kLeastPassphraseOctets;
    if (path->empty()) {
      return Missing(
          "a passphrase is needed: let the command that starts keyd ask for it (auspex daemon "
          "--ask-passphrase), or set AUSPEX_KEYD_PASSPHRASE_FILE to a file that holds it");
    }
  }
  if (kind == SealKind::kPassphrase) {
    struct stat info {};
    if (::stat(path->c_str(), &info) == 0 && (info.st_mode & 077) != 0) {
      return Missing(Cat(*path,
                         ": other users of this machine can read the passphrase; run chmod "
                         "600 on it, and consider it known"));
    }
  }
  ASSIGN_OR_RETURN(std::string secret, ReadWithoutCopies(*path));
  if (kind == SealKind::kPassphrase) {
    const size_t length = WithoutLineEnds(secret).size();
    while (secret.size() > length) secret.pop_back();
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
  std::string owned;
  std::string_view secret;
  if (kind == SealKind::kPassphrase && sources.passphrase != nullptr) {
    const std::span<const unsigned char> octets = sources.passphrase->octets();
    secret = WithoutLineEnds({reinterpret_cast<const char*>(octets.data()), octets.size()});
  } else {
    ASSIGN_OR_RETURN(owned, ReadSource(kind, sources));
    secret = owned;
  }
  int failed;
  if (kind == SealKind::kPassphrase) {
    failed = crypto_pwhash_argon2id(key.octets().data(), key.octets().size(), secret.data(),
                                    secret.size(), Bytes(salt), cost.passes,
                                    static_cast<size_t>(cost.memory_octets),
                                    crypto_pwhash_argon2id_ALG_ARGON2ID13);
  } else {
    failed = crypto_generichash_blake2b_salt_personal(
        key.octets().data(), key.octets().size(), Bytes(secret), secret.size(), nullptr, 0,
        Bytes(salt),
        reinterpret_cast<const unsigned char*>(kind == SealKind::kMachine ? kMachinePersonal
                                                                          : kPersonal));
  }
  WipeStack();
  Wipe(owned);
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
    case SealKind::kMachine:
      return "machine";
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
  if (passphrase != nullptr || !passphrase_path.empty()) return SealKind::kPassphrase;
  return SealKind::kLocalSecret;
}

absl::Status TakePassphrase(SealSources& sources) {
  const std::string text = FromEnv(kPassphraseFd);
  if (text.empty()) return absl::OkStatus();
  ::unsetenv(kPassphraseFd);
  int number = -1;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || rest != text.data() + text.size() || number < 3) {
    return absl::InvalidArgumentError(
        Cat(kPassphraseFd, ": is no number of a descriptor from 3 on"));
  }
  const UniqueFd pipe(number);
  absl::StatusOr<SecretContent> content = ReadSecretPipe(pipe.get(), kPassphraseMs);
  if (!content.ok()) {
    return absl::Status(content.status().code(),
                        Cat(kPassphraseFd, ": ", std::string(content.status().message())));
  }
  const auto octets = content->octets();
  const std::string_view phrase(reinterpret_cast<const char*>(octets.data()), octets.size());
  if (WithoutLineEnds(phrase).size() < kLeastPassphraseOctets) {
    return Missing(Cat(kPassphraseFd, " gave fewer than ", kLeastPassphraseOctets, " octets"));
  }
  sources.passphrase = std::make_shared<const SecretContent>(*std::move(content));
  return absl::OkStatus();
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
  WipeStack();
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
  if (kind < 1 || kind > 4) return absl::DataLossError("sealed key: unknown kind of seal");
  return SealKind{static_cast<uint8_t>(kind)};
}

absl::StatusOr<std::string> PublicKeyIn(std::string_view sealed) {
  RETURN_IF_ERROR(SealKindOf(sealed).status());
  return std::string(sealed.substr(kPublicAt, 32));
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
