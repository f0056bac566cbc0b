// SPDX-License-Identifier: AGPL-3.0-only
// KeyVault: where the key rests, of the two places that there are: the sealed file (KeyStore) and
// the desktop's Secret Service. It finds the key at a start, chooses a place for a new one, moves it
// from one form to another, and removes it. Selection (worker behaviour, section 3.1):
//
//   the owner's word   identity.keystore_backend decides where a new key goes; "secret_service" that
//                      cannot be reached is an error, and so is "encrypted_file" with a key in the
//                      Secret Service
//   automatic          the Secret Service when it holds this worker's key; else the file when it
//                      holds one; else, for a new key, the Secret Service when it can be reached;
//                      else the file
//
// "This worker's key" is the item that the marker (storage_marker.h) names. An item without a marker
// is the existing worker's: it is told of and taken over when the owner says so, never by itself,
// since whoever can put items into a keyring would otherwise choose keyd's key.
//
// A key that is known to be in the Secret Service and cannot be had is FAILED_PRECONDITION with a
// remedy: never a reason to make another one. Calls must not overlap (KeyRing sees to that).
#ifndef AUSPEX_KEYD_KEY_VAULT_H_
#define AUSPEX_KEYD_KEY_VAULT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "keyd/key_store.h"
#include "keyd/secret_service_client.h"
#include "keyd/storage_marker.h"

namespace auspex::keyd {

enum class Keystore : uint8_t { kSealedFile, kSecretService };
// "sealed-file", "secret-service".
std::string_view KeystoreWord(Keystore keystore);

// Where the owner wants the key; what is left open is chosen.
struct Place {
  std::optional<Keystore> keystore;
  std::optional<SealKind> seal;  // of a sealed file
};

struct VaultOptions {
  SealSources sources;
  std::string backend;                      // identity.keystore_backend
  SecretService* secret_service = nullptr;  // null: not in this mode, or not reachable
  std::string why_no_service;               // for people, when it is null
  std::string existing_keystore;  // an existing worker's keystore.enc; empty: there is none
  BeforeStep before_step;         // see KeyStore
};

// How the key is kept, for the status.
struct StorageStatus {
  Keystore keystore = Keystore::kSealedFile;
  SealKind seal = SealKind::kLocalSecret;  // of a sealed file
  // What the owner should do. Without a key: only that a key waits to be taken over, and with which
  // command.
  std::string advice;
  // "sealed-file under passphrase", "secret-service".
  std::string Words() const;
};

class KeyVault {
 public:
  KeyVault(const std::string& state_dir, VaultOptions options);

  // This worker's key; nullopt when there is none.
  absl::StatusOr<std::optional<SecretKey>> Load();
  // Keeps a new key. ALREADY_EXISTS when the place is taken, INVALID_ARGUMENT for a place that
  // contradicts itself or the configuration.
  absl::Status Save(const SecretKey& key, const Place& place);
  // The existing worker's key in the Secret Service; it stays there, and Adopt makes it this
  // worker's. ALREADY_EXISTS when a sealed file is there.
  absl::StatusOr<SecretKey> LoadWaiting();
  absl::Status Adopt(const SecretKey& key);
  // Keeps `key`, which is this worker's, elsewhere or otherwise. The new form is opened again before
  // the old one is removed. An error after that says what is left of the old one.
  absl::Status Move(const SecretKey& key, const Place& place);
  // Removes the key from every place and looks again. Gives what was removed; an error names what
  // is left.
  absl::StatusOr<std::vector<std::string>> Destroy();

  StorageStatus status() const;

 private:
  absl::Status Step(std::string_view step) const;
  absl::StatusOr<std::optional<SecretKey>> LoadFromService(const std::string& public_key_hex);
  absl::StatusOr<Keystore> Choose(const Place& place) const;
  absl::Status SaveInService(const SecretKey& key);
  absl::Status MoveToService(const SecretKey& key);
  absl::Status MoveToFile(const SecretKey& key, std::optional<SealKind> seal);
  // Removes the item when it holds the key of `public_key_hex`; whether there was one.
  absl::StatusOr<bool> RemoveItem(const std::string& public_key_hex);
  absl::Status NoService() const;
  void CountItemsAtStart(int timeout_ms);

  const VaultOptions options_;
  const StorageMarker marker_;
  KeyStore file_;
  bool has_key_ = false;
  bool in_service_ = false;       // the key is in the Secret Service
  bool file_beside_ = false;      // and there is a sealed file besides
  std::optional<int> items_;      // items in the Secret Service that are not known to be ours
  std::string file_beside_note_;  // what that sealed file is
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_KEY_VAULT_H_
