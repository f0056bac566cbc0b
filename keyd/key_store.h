// SPDX-License-Identifier: AGPL-3.0-only
// KeyStore: the sealed key file of one state folder, `key.sealed`, and for the seal "local-secret"
// its neighbour `seal.key`. Calls must not overlap (KeyRing sees to that). Errors name the file and
// what to do.
#ifndef AUSPEX_KEYD_KEY_STORE_H_
#define AUSPEX_KEYD_KEY_STORE_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "keyd/seal.h"
#include "keyd/secret_key.h"

namespace auspex::keyd {

class KeyStore {
 public:
  KeyStore(std::string state_dir, SealSources sources);

  // The stored key; nullopt when there is none.
  absl::StatusOr<std::optional<SecretKey>> Load();
  // Seals `key` and stores it, durable on return. ALREADY_EXISTS when a file is there, whatever it
  // holds.
  absl::Status Save(const SecretKey& key);
  // Overwrites and removes the files. OK when there are none.
  absl::Status Destroy();

  // How the stored key is sealed, or how a new one would be.
  SealKind seal() const { return seal_; }
  std::string path() const { return state_dir_ + "/key.sealed"; }

 private:
  const std::string state_dir_;
  const SealSources sources_;
  SealKind seal_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_KEY_STORE_H_
