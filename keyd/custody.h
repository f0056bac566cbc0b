// SPDX-License-Identifier: AGPL-3.0-only
// Custody: the owner's acts on the key (role "owner"): make it, import it, keep it elsewhere,
// pin it, destroy it, open a grant.
// Each is recorded in the journal, durable, before it takes effect. Safe from any thread; what it
// is given outlives it.
#ifndef AUSPEX_KEYD_CUSTODY_H_
#define AUSPEX_KEYD_CUSTODY_H_

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "keyd/created_clock.h"
#include "keyd/existing_keystore.h"
#include "keyd/grants.h"
#include "keyd/key_ring.h"
#include "keyd/rates.h"
#include "keyd/recorder.h"

namespace auspex::keyd {

class Custody {
 public:
  Custody(KeyRing& keys, Recorder& recorder, Grants& grants, CreatedClock& created, Rates& rates)
      : keys_(keys), recorder_(recorder), grants_(grants), created_(created), rates_(rates) {}

  // Makes a key and keeps it at `place`. ALREADY_EXISTS when there is one.
  absl::Status CreateKey(const Caller& caller, const Place& place = {});
  // Takes over the key in the file at `import_path`, which is wiped and removed whatever happens; or,
  // with no such file and the Secret Service as `place`, the existing worker's key there.
  // ALREADY_EXISTS when there is a key; else as SeedFromFile and KeyRing::Install or LoadWaiting.
  absl::Status ImportKey(const Caller& caller, const std::string& import_path, KeyFormat format,
                         const Place& place);
  // Keeps the key elsewhere or under another seal. How it was kept comes back; errors as
  // KeyRing::Move.
  absl::StatusOr<std::string> SealKey(const Caller& caller, const Place& place);
  // INVALID_ARGUMENT naming the field; FAILED_PRECONDITION without a key. Closes every grant, and
  // lets `created` start anew (CreatedClock): pinning again what is pinned is how the owner confirms
  // a clock that was set back.
  absl::Status SetEnrolment(const Caller& caller, const std::string& untrusted_base_url,
                            const std::string& untrusted_worker_id);
  struct Destroyed {
    bool existed = false;
    std::vector<std::string> removed;  // looked for again, and gone
  };
  // Closes every grant. An error names what is left of the key.
  absl::StatusOr<Destroyed> DestroyKey(const Caller& caller);
  // Unix seconds at which the grant ends. The worker id must be the one that the key is enrolled as:
  // INVALID_ARGUMENT for another or none, FAILED_PRECONDITION without an enrolment.
  absl::StatusOr<int64_t> OpenGrant(const Caller& caller, OwnerAct act,
                                    const std::string& untrusted_worker_id,
                                    uint32_t lifetime_seconds);

 private:
  absl::Status ImportLocked(const Caller& caller, const std::string& import_path, KeyFormat format,
                            const Place& place);
  absl::Status RefuseAct(const Caller& caller, Intent intent, const absl::Status& why);

  KeyRing& keys_;
  Recorder& recorder_;
  Grants& grants_;
  CreatedClock& created_;
  Rates& rates_;
  std::mutex mutex_;  // one act at a time, so that the journal's order is the order of effects
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_CUSTODY_H_
