// SPDX-License-Identifier: AGPL-3.0-only
// How the private key rests on disk: XChaCha20-Poly1305 (libsodium) over the seed, the whole header
// authenticated with it (docs/formats/sealed-key.md). The sealing key comes from one of four
// sources; without a word of the owner's, from the best of the first three that there is:
//
//   credential    $CREDENTIALS_DIRECTORY/auspex-keyd-seal, which systemd decrypts (bound to the TPM
//                 where there is one)
//   passphrase    the pipe AUSPEX_KEYD_PASSPHRASE_FD, or the file named by
//                 AUSPEX_KEYD_PASSPHRASE_FILE, stretched by Argon2id
//   local-secret  32 random octets in <state>/seal.key; protects a copy of the sealed file alone,
//                 nothing more
//   machine       the machine's id and the user's number, which are no secrets; only when the
//                 owner's configuration allows it, and never chosen by itself
//
// Pure functions over what they are given, plus reading the sources. Safe from any thread.
#ifndef AUSPEX_KEYD_SEAL_H_
#define AUSPEX_KEYD_SEAL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "keyd/secret_file.h"
#include "keyd/secret_key.h"

namespace auspex::keyd {

enum class SealKind : uint8_t { kCredential = 1, kPassphrase = 2, kLocalSecret = 3, kMachine = 4 };
// "credential", "passphrase", "local-secret", "machine".
std::string_view SealWord(SealKind kind);

// Cost of Argon2id. The header carries it; what a header may ask for is bounded.
struct PassphraseCost {
  uint64_t passes = 3;                        // 1..10
  uint64_t memory_octets = 64 * 1024 * 1024;  // 8 MiB..1 GiB
};

// Where the sources are; an empty path means that there is no such source.
struct SealSources {
  std::string credential_path;
  std::string passphrase_path;
  std::string local_secret_path;
  // The passphrase itself, read from a pipe once; shared by the copies, wiped with the last of
  // them. It is used instead of the file.
  std::shared_ptr<const SecretContent> passphrase;
  std::string machine_identity;  // as of MachineIdentity; empty: there is none
  bool allow_machine = false;    // whether something may be sealed by it
  PassphraseCost cost;           // of a new seal by passphrase
  // From the environment and the state folder. The credential counts only when its file exists. The
  // pipe named by AUSPEX_KEYD_PASSPHRASE_FD is left to TakePassphrase.
  static SealSources FromEnvironment(const std::string& state_dir);
  // The source that a new key is sealed with; never the machine.
  SealKind Best() const;
};

// Reads the passphrase that AUSPEX_KEYD_PASSPHRASE_FD hands over into `sources`, closes the pipe and
// takes the variable out of the environment. OK when there is no such variable. Call once, early.
absl::Status TakePassphrase(SealSources& sources);

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
// The public key that its header names, 32 octets; nothing has been opened or authenticated then.
absl::StatusOr<std::string> PublicKeyIn(std::string_view sealed);

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_SEAL_H_
