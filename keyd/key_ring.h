// SPDX-License-Identifier: AGPL-3.0-only
// KeyRing: the key and the enrolment in use, in memory and on disk together. Readers take a View
// and later sign with it; a key that was destroyed or replaced in between signs nothing more. Safe
// from any thread.
#ifndef AUSPEX_KEYD_KEY_RING_H_
#define AUSPEX_KEYD_KEY_RING_H_

#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "keyd/durable_signer.h"
#include "keyd/enrolment.h"
#include "keyd/journal.h"
#include "keyd/key_vault.h"
#include "keyd/secret_key.h"

namespace auspex::keyd {

class KeyRing {
 public:
  // What was in use at one moment. Either may be null; there is no enrolment without a key.
  class View {
   public:
    bool has_key() const { return key_ != nullptr; }
    // 64 hex digits; empty without a key.
    std::string public_key_hex() const { return key_ ? key_->public_key_hex() : ""; }
    const Enrolment* enrolment() const { return enrolment_.get(); }

   private:
    friend class KeyRing;
    std::shared_ptr<const SecretKey> key_;
    std::shared_ptr<const Enrolment> enrolment_;
  };

  // Reads what the state folder and, where `options` has one, the Secret Service hold.
  static absl::StatusOr<std::unique_ptr<KeyRing>> Load(const std::string& state_dir,
                                                       VaultOptions options);
  // The same for a sealed file alone.
  static absl::StatusOr<std::unique_ptr<KeyRing>> Load(const std::string& state_dir,
                                                       SealSources sources);
  // A ring over a key that is in memory only: for the self-test and for tests.
  static std::unique_ptr<KeyRing> InMemory(SecretKey key, std::optional<Enrolment> enrolment);

  View view() const;
  // The signature of `message` by the key of `view`, locked up until Release. FAILED_PRECONDITION
  // without a key.
  absl::StatusOr<UnreleasedSignature> Compute(const View& view, std::string_view message) const;
  // Its octets, given the journal's proof. FAILED_PRECONDITION when key or enrolment were changed
  // since the view was taken.
  absl::StatusOr<std::string> Release(const View& view, const DurableRecord& proof,
                                      const UnreleasedSignature& signature) const;
  // Both.
  absl::StatusOr<std::string> Sign(const View& view, const DurableRecord& proof,
                                   std::string_view message) const;

  // Keeps `key` at `place` and takes it into use. ALREADY_EXISTS when there is one.
  absl::Status Install(SecretKey key, const Place& place = {});
  // The existing worker's key in the Secret Service, for the owner to take over with Adopt. Errors
  // as KeyVault::LoadWaiting.
  absl::StatusOr<SecretKey> LoadWaiting();
  // Takes that key into use; it stays where it is.
  absl::Status Adopt(SecretKey key);
  // Keeps the key in use elsewhere or under another seal; how it was kept before comes back.
  // Signing goes on meanwhile. FAILED_PRECONDITION without a key, else as KeyVault::Move.
  absl::StatusOr<std::string> Move(const Place& place);
  // Pins the enrolment, on disk and then in memory. FAILED_PRECONDITION without a key.
  absl::Status SetEnrolment(const Enrolment& enrolment);
  // Forgets both, in memory and then wherever the key rests. What was removed there; an error names
  // what is left. OK when there was nothing.
  absl::StatusOr<std::vector<std::string>> Destroy();

  // How the key is kept, as of the last change. Never waits for one.
  StorageStatus storage() const;
  // As it was read at start; see MachineIdentity.
  const std::string& machine_identity() const { return machine_identity_; }

 private:
  KeyRing(std::string state_dir, VaultOptions options);
  absl::Status Put(SecretKey key, const std::function<absl::Status(const SecretKey&)>& keep);
  std::string EnrolmentPath() const { return state_dir_ + "/enrolment.toml"; }

  const std::string state_dir_;  // empty: nothing is stored
  const std::string machine_identity_;
  mutable std::mutex store_mutex_;  // one change at a time; taken before view_mutex_
  KeyVault vault_;
  mutable std::shared_mutex view_mutex_;
  View current_;
  StorageStatus storage_;
};

// The status that every call gives while there is no key.
absl::Status NoKey();

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_KEY_RING_H_
