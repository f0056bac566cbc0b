// SPDX-License-Identifier: AGPL-3.0-only
// SecretService: the desktop's keyring as keyd sees it, one item that holds the seed. The real one
// asks the helper through the gate; tests have one in memory. Every call is bounded in time and
// gives
//
//   UNAVAILABLE          nobody answers, or not in time
//   NOT_FOUND            there is no such item
//   ALREADY_EXISTS       Store: there is one
//   FAILED_PRECONDITION  several items, a locked one, or one that is not a seed
//
// with a message that says what to do. Calls must not overlap (KeyRing sees to that).
#ifndef AUSPEX_KEYD_SECRET_SERVICE_CLIENT_H_
#define AUSPEX_KEYD_SECRET_SERVICE_CLIENT_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "keyd/gate/gate.h"
#include "keyd/secret_key.h"

namespace auspex::keyd {

class SecretService {
 public:
  // How long an answer may take: at a start, and when the owner asks and may be asked back by the
  // keyring's prompt.
  static constexpr int kStartMs = 5'000, kOwnerMs = 60'000;
  // What people call the item.
  static constexpr char kItemName[] =
      "Secret Service item service=auspexai-worker key-type=ed25519-private";

  virtual ~SecretService() = default;
  // Number of matching items; unlocks nothing.
  virtual absl::StatusOr<int> CountItems(int timeout_ms) = 0;
  virtual absl::StatusOr<SecretKey> Load(int timeout_ms) = 0;
  virtual absl::Status Store(const SecretKey& key, int timeout_ms) = 0;
  // Removes the item; OK means that it was looked for again and is gone.
  virtual absl::Status Delete(int timeout_ms) = 0;
};

// Through the gate, which outlives it.
class GatedSecretService final : public SecretService {
 public:
  explicit GatedSecretService(HelperGate& gate) : gate_(gate) {}
  absl::StatusOr<int> CountItems(int timeout_ms) override;
  absl::StatusOr<SecretKey> Load(int timeout_ms) override;
  absl::Status Store(const SecretKey& key, int timeout_ms) override;
  absl::Status Delete(int timeout_ms) override;

 private:
  HelperGate& gate_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_SECRET_SERVICE_CLIENT_H_
