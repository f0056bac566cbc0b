// SPDX-License-Identifier: AGPL-3.0-only
// Custody: the owner's acts on the key (role "owner"): make it, pin it, destroy it, open a grant.
// Each is recorded in the journal, durable, before it takes effect. Safe from any thread; what it
// is given outlives it.
#ifndef AUSPEX_KEYD_CUSTODY_H_
#define AUSPEX_KEYD_CUSTODY_H_

#include <cstdint>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "keyd/created_clock.h"
#include "keyd/grants.h"
#include "keyd/key_ring.h"
#include "keyd/rates.h"
#include "keyd/recorder.h"

namespace auspex::keyd {

class Custody {
 public:
  Custody(KeyRing& keys, Recorder& recorder, Grants& grants, CreatedClock& created, Rates& rates)
      : keys_(keys), recorder_(recorder), grants_(grants), created_(created), rates_(rates) {}

  // Makes, seals and stores a key. ALREADY_EXISTS when there is one.
  absl::Status CreateKey(const Caller& caller);
  // INVALID_ARGUMENT naming the field; FAILED_PRECONDITION without a key. Closes every grant, and
  // lets `created` start anew (CreatedClock): pinning again what is pinned is how the owner confirms
  // a clock that was set back.
  absl::Status SetEnrolment(const Caller& caller, const std::string& untrusted_base_url,
                            const std::string& untrusted_worker_id);
  // True when there was a key. Closes every grant.
  absl::StatusOr<bool> DestroyKey(const Caller& caller);
  // Unix seconds at which the grant ends. The worker id must be the one that the key is enrolled as:
  // INVALID_ARGUMENT for another or none, FAILED_PRECONDITION without an enrolment.
  absl::StatusOr<int64_t> OpenGrant(const Caller& caller, OwnerAct act,
                                    const std::string& untrusted_worker_id,
                                    uint32_t lifetime_seconds);

 private:
  KeyRing& keys_;
  Recorder& recorder_;
  Grants& grants_;
  CreatedClock& created_;
  Rates& rates_;
  std::mutex mutex_;  // one act at a time, so that the journal's order is the order of effects
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_CUSTODY_H_
