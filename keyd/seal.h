// SPDX-License-Identifier: AGPL-3.0-only
// How the private key rests on disk: XChaCha20-Poly1305 (libsodium) over the seed, the whole header
// authenticated with it (docs/formats/sealed-key.md). The sealing key comes from one of three
// sources, the best that there is:
//
//   credential    $CREDENTIALS_DIRECTORY/auspex-keyd-seal, which systemd decrypts (bound to the TPM
//                 where there is one)
//   passphrase    the file named by AUSPEX_KEYD_PASSPHRASE_FILE, stretched by Argon2id
//   local-secret  32 random octets in <state>/seal.key; protects a copy of the sealed file alone,
//                 nothing more
//
// Pure functions over what they are given, plus reading the sources. Safe from any thread.
#ifndef AUSPEX_KEYD_SEAL_H_
#define AUSPEX_KEYD_SEAL_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "keyd/secret_key.h"

namespace auspex::keyd {

enum class SealKind : uint8_t { kCredential = 1, kPassphrase = 2, kLocalSecret = 3 };
// "credential", "passphrase", "local-secret".
std::string_view SealWord(SealKind kind);

// Where the sources are; an empty path means that there is no such source.
struct SealSources {
  std::string credential_path;
  std::string passphrase_path;
  std::string local_secret_path;
  // From the environment and the state folder. The credential counts only when its file exists.
  static SealSources FromEnvironment(const std::string& state_dir);
  // The source that a new key is sealed with.
  SealKind Best() const;
};

// Cost of Argon2id. The header carries it; what a header may ask for is bounded.
struct PassphraseCost {
  uint64_t passes = 3;                        // 1..10
  uint64_t memory_octets = 64 * 1024 * 1024;  // 8 MiB..1 GiB
};

// Octets of a sealed file.
inline constexpr size_t kSealedOctets = 16 + 4 + 4 + 8 + 8 + 16 + 24 + 32 + 32 + 16;

// The sealed form of `key`. FAILED_PRECONDITION or an error of the source's file, which it names.
absl::StatusOr<std::string> SealKey(const SecretKey& key, SealKind kind, const SealSources& sources,
                                    const PassphraseCost& cost = {});
// The key in `sealed`. DATA_LOSS when the octets are damaged, FAILED_PRECONDITION when the source
// is missing or is not the one that it was sealed with; messages say what to do.
absl::StatusOr<SecretKey> UnsealKey(std::string_view sealed, const SealSources& sources);
// How `sealed` is sealed; DATA_LOSS when that cannot be read.
absl::StatusOr<SealKind> SealKindOf(std::string_view sealed);

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_SEAL_H_
