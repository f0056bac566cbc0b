// SPDX-License-Identifier: AGPL-3.0-only
// KeyStore: the sealed key file of one state folder, `key.sealed`, and for the seal "local-secret"
// its neighbour `seal.key`. What is written is read back and opened before it takes the file's
// name, and an old form is wiped only after that: a crash at any moment leaves one good file. Calls
// must not overlap (KeyRing sees to that). Errors name the file and what to do.
#ifndef AUSPEX_KEYD_KEY_STORE_H_
#define AUSPEX_KEYD_KEY_STORE_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "keyd/seal.h"
#include "keyd/secret_key.h"

namespace auspex::keyd {

// Called before each change to what is at rest, with a word for it; an error stops there. Tests
// fail and end the process at every one of them.
using BeforeStep = std::function<absl::Status(std::string_view step)>;

class KeyStore {
 public:
  KeyStore(std::string state_dir, SealSources sources, BeforeStep before_step = {});

  // The stored key; nullopt when there is none.
  absl::StatusOr<std::optional<SecretKey>> Load();
  // Seals `key` (nullopt: by the best source there is) and stores it, durable on return.
  // ALREADY_EXISTS when a file is there, whatever it holds.
  absl::Status Save(const SecretKey& key, std::optional<SealKind> seal = std::nullopt);
  // Replaces the file by one under another seal. ALREADY_EXISTS when it is another key's.
  absl::Status Reseal(const SecretKey& key, std::optional<SealKind> seal);
  // Overwrites and removes the files and what interrupted writes left of them, and looks again.
  // Gives the paths that were there.
  absl::StatusOr<std::vector<std::string>> Destroy();

  bool exists() const;
  // The public key that the file names, in hex, without opening it; nullopt when that cannot be
  // read.
  std::optional<std::string> PublicKeyAtRest() const;
  // How the stored key is sealed, or how a new one would be.
  SealKind seal() const { return seal_; }
  std::string path() const { return state_dir_ + "/key.sealed"; }

 private:
  absl::Status Step(std::string_view step) const;
  absl::Status CheckAllowed(SealKind seal) const;
  // Writes `key` under `seal` beside the file and opens it again from there.
  absl::Status WriteBeside(const SecretKey& key, SealKind seal, bool keep_local_secret);
  std::string beside() const { return path() + ".new"; }

  const std::string state_dir_;
  const SealSources sources_;
  const BeforeStep before_step_;
  SealKind seal_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_KEY_STORE_H_
