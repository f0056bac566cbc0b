// SPDX-License-Identifier: AGPL-3.0-only
// SigningBoundary: what the roles "request" and "result" can have signed. For each call, in this
// order: rate, key and enrolment, `created`, validate and compose, no equivocation, grant; then make
// the journal record durable and release the signature. A refusal is recorded as well, and takes nothing of what
// comes after it in that order (docs/SIGNING.md).
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
#include "keyd/assignment_ledger.h"
#include "keyd/created_clock.h"
#include "keyd/grants.h"
#include "keyd/key_ring.h"
#include "keyd/rates.h"
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
  struct Parts {
    KeyRing& keys;
    Recorder& recorder;
    AssignmentLedger& ledger;
    Grants& grants;
    CreatedClock& created;
    Rates& rates;
  };
  explicit SigningBoundary(Parts parts) : parts_(parts) {}

  // The first half of a signing: all that is checked was checked, and the record was handed to the
  // journal. No signature is released before Finish has seen the record durable.
  struct Pending {
    KeyRing::View view;
    Journal::Ticket record;
    std::string octets;  // to be signed
    std::string sha256;  // theirs
  };
  struct PendingRequest : Pending {
    SignedParts parts;
  };
  absl::StatusOr<PendingRequest> Begin(const Caller& caller, const UntrustedRequest& request);
  absl::StatusOr<Pending> Begin(const Caller& caller, const UntrustedResult& result);
  absl::StatusOr<Pending> Begin(const Caller& caller, const UntrustedRawText& raw);

  // The second half: signs, and releases the signature when the record is durable.
  absl::StatusOr<SignedOctets> Finish(const Pending& pending);
  absl::StatusOr<SignedHttp> Finish(const PendingRequest& pending);

  // Both halves.
  absl::StatusOr<SignedHttp> SignRequest(const Caller& caller, const UntrustedRequest& request);
  absl::StatusOr<SignedOctets> SignResult(const Caller& caller, const UntrustedResult& result);
  absl::StatusOr<SignedOctets> SignRawText(const Caller& caller, const UntrustedRawText& raw);

 private:
  absl::Status CheckMayRelease(const KeyRing::View& view, const UntrustedRequest& request,
                               const ComposedRequest& composed);
  // What every intent needs first: its rate and a key. The refusal is recorded.
  absl::StatusOr<KeyRing::View> Admit(const JournalEntry& entry);
  absl::StatusOr<Pending> Submit(const KeyRing::View& view, JournalEntry entry, std::string octets,
                                 std::string sha256);

  const Parts parts_;
  // Held from a claim in the ledger until its record has its place: a later keyd reads the ledger from the records, in their order.
  std::mutex claims_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_SIGNING_BOUNDARY_H_
