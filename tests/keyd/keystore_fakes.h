// SPDX-License-Identifier: AGPL-3.0-only
// What the tests of keystores share: a Secret Service in memory, and a place for each form in which
// a key can be kept.
#ifndef AUSPEX_TESTS_KEYD_KEYSTORE_FAKES_H_
#define AUSPEX_TESTS_KEYD_KEYSTORE_FAKES_H_

#include <memory>
#include <string>
#include <vector>

#include "keyd/key_vault.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {

// One keyring, which outlives the processes that use it. Seeds are kept in hex.
class FakeSecretService final : public SecretService {
 public:
  absl::StatusOr<int> CountItems(int) override {
    ++asked;
    if (unreachable) return Unreachable();
    return static_cast<int>(seeds.size());
  }
  absl::StatusOr<SecretKey> Load(int) override;
  absl::Status Store(const SecretKey& key, int) override;
  absl::Status Delete(int) override;

  std::vector<std::string> seeds;
  bool unreachable = false;
  int asked = 0;  // questions so far, of any kind

 private:
  absl::Status Unreachable() const { return absl::UnavailableError("Secret Service: no bus"); }
};

// A state folder with the sources of every seal beside it.
struct VaultRig {
  VaultRig();
  // A vault as of a new start.
  std::unique_ptr<KeyVault> Start(BeforeStep before_step = {}) const;
  // Its key; fails the test when it cannot be loaded, "" when there is none.
  std::string PublicKeyAfterRestart() const;
  std::string state() const { return dir.path() + "/state"; }

  ScratchDir dir;
  std::shared_ptr<FakeSecretService> keyring = std::make_shared<FakeSecretService>();
  VaultOptions options;  // cheap sources, the keyring, no word of the owner's
};

// Every form in which a key can be kept.
std::vector<Place> AllPlaces();
std::string NameOf(const Place& place);

}  // namespace auspex::keyd

#endif  // AUSPEX_TESTS_KEYD_KEYSTORE_FAKES_H_
