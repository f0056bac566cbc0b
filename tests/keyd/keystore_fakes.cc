// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/keyd/keystore_fakes.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/base/encoding.h"
#include "common/files/files.h"

namespace auspex::keyd {

absl::StatusOr<SecretKey> FakeSecretService::Load(int) {
  ++asked;
  if (unreachable) return Unreachable();
  if (seeds.empty()) return absl::NotFoundError("Secret Service: there is no such item");
  if (seeds.size() > 1) return absl::FailedPreconditionError("Secret Service: several items");
  return KeyOf(seeds[0]);
}

absl::Status FakeSecretService::Store(const SecretKey& key, int) {
  ++asked;
  if (unreachable) return Unreachable();
  if (!seeds.empty()) return absl::AlreadyExistsError("Secret Service: there is such an item");
  const auto seed = key.Seed(SecretKeyAccess::ForReviewedUse());
  seeds.push_back(HexEncode({reinterpret_cast<const char*>(seed.data()), seed.size()}));
  return absl::OkStatus();
}

absl::Status FakeSecretService::Delete(int) {
  ++asked;
  if (unreachable) return Unreachable();
  if (seeds.size() != 1) return absl::FailedPreconditionError("Secret Service: not one item");
  seeds.clear();
  return absl::OkStatus();
}

VaultRig::VaultRig() {
  ::mkdir(state().c_str(), 0700);
  options.sources.credential_path = dir.path() + "/credential";
  EXPECT_TRUE(
      WriteFileAtomically(options.sources.credential_path, std::string(40, 'c'), 0600).ok());
  options.sources.passphrase_path = dir.path() + "/passphrase";
  EXPECT_TRUE(WriteFileAtomically(options.sources.passphrase_path, "correct horse\n", 0600).ok());
  options.sources.local_secret_path = state() + "/seal.key";
  options.sources.machine_identity = std::string(32, 'a') + ":1000";
  options.sources.allow_machine = true;
  options.sources.cost = {1, 8 << 20};
  options.secret_service = keyring.get();
}

std::unique_ptr<KeyVault> VaultRig::Start(BeforeStep before_step) const {
  VaultOptions now = options;
  now.before_step = std::move(before_step);
  return std::make_unique<KeyVault>(state(), std::move(now));
}

std::string VaultRig::PublicKeyAfterRestart() const {
  const auto key = Start()->Load();
  EXPECT_TRUE(key.ok()) << key.status();
  return key.ok() && key->has_value() ? (*key)->public_key_hex() : "";
}

std::vector<Place> AllPlaces() {
  std::vector<Place> places{{Keystore::kSecretService, std::nullopt}};
  for (const SealKind seal :
       {SealKind::kCredential, SealKind::kPassphrase, SealKind::kLocalSecret, SealKind::kMachine}) {
    places.push_back({Keystore::kSealedFile, seal});
  }
  return places;
}

std::string NameOf(const Place& place) {
  return place.seal ? std::string(SealWord(*place.seal)) : "secret-service";
}

}  // namespace auspex::keyd
