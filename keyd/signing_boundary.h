// SPDX-License-Identifier: AGPL-3.0-only
// SigningBoundary: what the roles "request" and "result" can have signed. For each call, in this
// order: validate and compose, check what must hold (enrolment, clock, grant, no equivocation),
// make the journal record durable, sign, answer. A refusal is recorded as well.
//
//   absl::StatusOr<SignedHttp> s = boundary.SignRequest(caller, {.intent = Intent::kPoll});
//
// Error codes are those of keyd.proto. Safe from any thread; what it is given outlives it.
#ifndef AUSPEX_KEYD_SIGNING_BOUNDARY_H_
#define AUSPEX_KEYD_SIGNING_BOUNDARY_H_

#include <cstdint>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "keyd/assignment_ledger.h"
#include "keyd/grants.h"
#include "keyd/key_ring.h"
#include "keyd/recorder.h"
#include "keyd/request_composer.h"
#include "keyd/result_composer.h"

namespace auspex::keyd {

struct SignedHttp {
  std::string method, path, authority;
  std::string content_digest;  // empty: no such header
  std::string signature_input, signature;
  uint64_t journal_sequence = 0;
};

struct SignedOctets {
  std::string worker_pubkey;  // hex
  std::string signature;      // 64 octets
  std::string sha256;         // 32 octets: digest of what was signed
  uint64_t journal_sequence = 0;
};

class SigningBoundary {
 public:
  // How far the clock may go back behind the newest `created` that was signed since start: the
  // coordinator's own tolerance.
  static constexpr int64_t kMaxClockStepBackSeconds = 300;

  SigningBoundary(KeyRing& keys, Recorder& recorder, AssignmentLedger& ledger, Grants& grants,
                  const Clock& clock)
      : keys_(keys), recorder_(recorder), ledger_(ledger), grants_(grants), clock_(clock) {}

  absl::StatusOr<SignedHttp> SignRequest(const Caller& caller, const UntrustedRequest& request);
  absl::StatusOr<SignedOctets> SignResult(const Caller& caller, const UntrustedResult& result);
  absl::StatusOr<SignedOctets> SignRawText(const Caller& caller, const UntrustedRawText& raw);

 private:
  absl::Status CheckMayRelease(const UntrustedRequest& request, const ComposedRequest& composed);
  absl::Status CheckClock(int64_t created);
  absl::StatusOr<SignedOctets> Release(const KeyRing::View& view, JournalEntry entry,
                                       std::string_view octets);
  absl::StatusOr<SignedOctets> FinishResult(const KeyRing::View& view, JournalEntry entry,
                                            const absl::StatusOr<ComposedResult>& composed);

  KeyRing& keys_;
  Recorder& recorder_;
  AssignmentLedger& ledger_;
  Grants& grants_;
  const Clock& clock_;
  std::mutex clock_mutex_;
  int64_t newest_created_ = 0;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_SIGNING_BOUNDARY_H_
