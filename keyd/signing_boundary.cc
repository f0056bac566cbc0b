// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/signing_boundary.h"

#include <utility>

#include "common/base/status_macros.h"
#include "common/crypto/sha256.h"

namespace auspex::keyd {

absl::StatusOr<SignedHttp> SigningBoundary::SignRequest(const Caller& caller,
                                                        const UntrustedRequest& request) {
  JournalEntry entry;
  entry.caller = caller;
  entry.intent = request.intent;
  entry.subject = SubjectOfRefusal(request);
  entry.unit = request.unit_id;

  if (absl::Status s = parts_.rates.Take(request.intent); !s.ok()) {
    return parts_.recorder.Refuse(std::move(entry), s);
  }
  const KeyRing::View view = parts_.keys.view();
  if (!view.has_key()) return parts_.recorder.Refuse(std::move(entry), NoKey());
  if (view.enrolment() == nullptr) {
    return parts_.recorder.Refuse(
        std::move(entry), absl::FailedPreconditionError("no enrolment: run `auspex bootstrap`"));
  }
  // Held until the record is durable, so that records stand in the order of their `created`.
  absl::StatusOr<CreatedClock::Hold> hold = parts_.created.Take();
  if (!hold.ok()) return parts_.recorder.Refuse(std::move(entry), hold.status());
  absl::StatusOr<ComposedRequest> composed =
      ComposeRequest(request, *view.enrolment(), view.public_key_hex(), hold->created());
  if (!composed.ok()) return parts_.recorder.Refuse(std::move(entry), composed.status());
  if (absl::Status s = CheckMayRelease(view, request, *composed); !s.ok()) {
    return parts_.recorder.Refuse(std::move(entry), s);
  }
  hold->Commit();
  entry.subject = composed->subject;
  entry.unit = composed->unit;
  entry.created = composed->parts.created;
  if (request.intent == Intent::kSubmitResult) entry.bound = composed->body;
  ASSIGN_OR_RETURN(const SignedOctets released, Release(view, std::move(entry), composed->base));

  SignedHttp out;
  out.method = composed->parts.method;
  out.path = composed->parts.path;
  out.authority = composed->parts.authority;
  out.content_digest = composed->parts.content_digest.value_or("");
  out.signature_input = SignatureInputHeader(composed->parts);
  out.signature = SignatureHeader(released.signature);
  out.journal_sequence = released.journal_sequence;
  return out;
}

// In an order in which a refusal uses nothing up: the grant is taken only when all else holds.
absl::Status SigningBoundary::CheckMayRelease(const KeyRing::View& view,
                                              const UntrustedRequest& request,
                                              const ComposedRequest& composed) {
  if (request.intent == Intent::kSubmitResult) {
    RETURN_IF_ERROR(parts_.ledger.ClaimSubmission(composed.subject, composed.body));
  }
  if (const auto act = GrantNeededFor(request.intent)) {
    return parts_.grants.Take(*act, {view.enrolment()->worker_id.str(), view.public_key_hex()});
  }
  return absl::OkStatus();
}

absl::StatusOr<SignedOctets> SigningBoundary::SignResult(const Caller& caller,
                                                         const UntrustedResult& result) {
  JournalEntry entry;
  entry.caller = caller;
  entry.intent = Intent::kSignResult;
  entry.subject = result.assignment_id;
  entry.unit = result.unit_id;
  if (absl::Status s = parts_.rates.Take(entry.intent); !s.ok()) {
    return parts_.recorder.Refuse(std::move(entry), s);
  }
  const KeyRing::View view = parts_.keys.view();
  if (!view.has_key()) return parts_.recorder.Refuse(std::move(entry), NoKey());
  const absl::StatusOr<ComposedResult> composed = ComposeResult(result, view.public_key_hex());
  if (composed.ok()) {
    const Digest32 digest = ToDigest(Sha256(composed->octets));
    if (absl::Status s = parts_.ledger.ClaimResult(composed->subject, digest); !s.ok()) {
      return parts_.recorder.Refuse(std::move(entry), s);
    }
  }
  return FinishResult(view, std::move(entry), composed);
}

absl::StatusOr<SignedOctets> SigningBoundary::SignRawText(const Caller& caller,
                                                          const UntrustedRawText& raw) {
  JournalEntry entry;
  entry.caller = caller;
  entry.intent = Intent::kSignRawText;
  entry.subject = raw.assignment_id;
  entry.unit = raw.unit_id;
  if (absl::Status s = parts_.rates.Take(entry.intent); !s.ok()) {
    return parts_.recorder.Refuse(std::move(entry), s);
  }
  const KeyRing::View view = parts_.keys.view();
  if (!view.has_key()) return parts_.recorder.Refuse(std::move(entry), NoKey());
  return FinishResult(view, std::move(entry), ComposeRawText(raw, view.public_key_hex()));
}

absl::StatusOr<SignedOctets> SigningBoundary::FinishResult(
    const KeyRing::View& view, JournalEntry entry, const absl::StatusOr<ComposedResult>& composed) {
  if (!composed.ok()) return parts_.recorder.Refuse(std::move(entry), composed.status());
  return Release(view, std::move(entry), composed->octets);
}

absl::StatusOr<SignedOctets> SigningBoundary::Release(const KeyRing::View& view, JournalEntry entry,
                                                      std::string_view octets) {
  SignedOctets out;
  out.sha256 = Sha256(octets);
  entry.outcome = Outcome::kSigned;
  entry.digest = ToDigest(out.sha256);
  ASSIGN_OR_RETURN(const DurableRecord proof, parts_.recorder.Record(std::move(entry)));
  ASSIGN_OR_RETURN(out.signature, parts_.keys.Sign(view, proof, octets));
  parts_.recorder.CountSignature();
  out.worker_pubkey = view.public_key_hex();
  out.journal_sequence = proof.sequence();
  return out;
}

}  // namespace auspex::keyd
