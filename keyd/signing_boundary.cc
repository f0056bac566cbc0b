// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/signing_boundary.h"

#include <mutex>
#include <utility>

#include "common/base/status_macros.h"
#include "common/crypto/sha256.h"

namespace auspex::keyd {

absl::StatusOr<KeyRing::View> SigningBoundary::Admit(const JournalEntry& entry) {
  absl::Status refusal = parts_.rates.Take(entry.intent);
  KeyRing::View view = parts_.keys.view();
  if (refusal.ok() && !view.has_key()) refusal = NoKey();
  if (!refusal.ok()) return parts_.recorder.Refuse(entry, refusal);
  return view;
}

absl::StatusOr<SigningBoundary::PendingRequest> SigningBoundary::Begin(
    const Caller& caller, const UntrustedRequest& request) {
  JournalEntry entry;
  entry.caller = caller;
  entry.intent = request.intent;
  entry.subject = SubjectOfRefusal(request);
  entry.unit = request.unit_id;

  ASSIGN_OR_RETURN(const KeyRing::View view, Admit(entry));
  if (view.enrolment() == nullptr) {
    return parts_.recorder.Refuse(
        std::move(entry), absl::FailedPreconditionError("no enrolment: run `auspex bootstrap`"));
  }
  // Held until the record has its place, so that records stand in the order of their `created`.
  absl::StatusOr<CreatedClock::Hold> hold = parts_.created.Take();
  if (!hold.ok()) return parts_.recorder.Refuse(std::move(entry), hold.status());
  absl::StatusOr<ComposedRequest> composed =
      ComposeRequest(request, *view.enrolment(), view.public_key_hex(), hold->created());
  if (!composed.ok()) return parts_.recorder.Refuse(std::move(entry), composed.status());
  std::unique_lock in_order(claims_, std::defer_lock);
  if (request.intent == Intent::kSubmitResult) in_order.lock();
  if (absl::Status s = CheckMayRelease(view, request, *composed); !s.ok()) {
    if (in_order) in_order.unlock();
    return parts_.recorder.Refuse(std::move(entry), s);
  }
  hold->Commit();
  entry.subject = composed->subject;
  entry.unit = composed->unit;
  entry.created = composed->parts.created;
  if (request.intent == Intent::kSubmitResult) entry.bound = composed->body;
  std::string sha256 = Sha256(composed->base);
  ASSIGN_OR_RETURN(Pending pending,
                   Submit(view, std::move(entry), std::move(composed->base), std::move(sha256)));
  return PendingRequest{std::move(pending), std::move(composed->parts)};
}

absl::StatusOr<SignedHttp> SigningBoundary::Finish(const PendingRequest& pending) {
  // All that needs no signature while the disk works.
  SignedHttp out;
  out.method = pending.parts.method;
  out.path = pending.parts.path;
  out.authority = pending.parts.authority;
  out.content_digest = pending.parts.content_digest.value_or("");
  out.signature_input = SignatureInputHeader(pending.parts);
  ASSIGN_OR_RETURN(const SignedOctets released, Finish(static_cast<const Pending&>(pending)));
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

absl::StatusOr<SigningBoundary::Pending> SigningBoundary::Begin(const Caller& caller,
                                                                const UntrustedResult& result) {
  JournalEntry entry;
  entry.caller = caller;
  entry.intent = Intent::kSignResult;
  entry.subject = result.assignment_id;
  entry.unit = result.unit_id;
  ASSIGN_OR_RETURN(const KeyRing::View view, Admit(entry));
  absl::StatusOr<ComposedResult> composed = ComposeResult(result, view.public_key_hex());
  if (!composed.ok()) return parts_.recorder.Refuse(std::move(entry), composed.status());
  std::string sha256 = Sha256(composed->octets);
  std::unique_lock in_order(claims_);
  if (absl::Status s = parts_.ledger.ClaimResult(composed->subject, ToDigest(sha256)); !s.ok()) {
    in_order.unlock();
    return parts_.recorder.Refuse(std::move(entry), s);
  }
  return Submit(view, std::move(entry), std::move(composed->octets), std::move(sha256));
}

absl::StatusOr<SigningBoundary::Pending> SigningBoundary::Begin(const Caller& caller,
                                                                const UntrustedRawText& raw) {
  JournalEntry entry;
  entry.caller = caller;
  entry.intent = Intent::kSignRawText;
  entry.subject = raw.assignment_id;
  entry.unit = raw.unit_id;
  ASSIGN_OR_RETURN(const KeyRing::View view, Admit(entry));
  absl::StatusOr<ComposedResult> composed = ComposeRawText(raw, view.public_key_hex());
  if (!composed.ok()) return parts_.recorder.Refuse(std::move(entry), composed.status());
  std::string sha256 = Sha256(composed->octets);
  return Submit(view, std::move(entry), std::move(composed->octets), std::move(sha256));
}

absl::StatusOr<SigningBoundary::Pending> SigningBoundary::Submit(const KeyRing::View& view,
                                                                 JournalEntry entry,
                                                                 std::string octets,
                                                                 std::string sha256) {
  entry.outcome = Outcome::kSigned;
  entry.digest = ToDigest(sha256);
  ASSIGN_OR_RETURN(Journal::Ticket record, parts_.recorder.Submit(std::move(entry)));
  return Pending{view, std::move(record), std::move(octets), std::move(sha256)};
}

absl::StatusOr<SignedOctets> SigningBoundary::Finish(const Pending& pending) {
  // The curve takes its time while the disk takes its own.
  ASSIGN_OR_RETURN(const UnreleasedSignature signature,
                   parts_.keys.Compute(pending.view, pending.octets));
  ASSIGN_OR_RETURN(const DurableRecord proof, parts_.recorder.Wait(pending.record));
  SignedOctets out;
  ASSIGN_OR_RETURN(out.signature, parts_.keys.Release(pending.view, proof, signature));
  parts_.recorder.CountSignature();
  out.worker_pubkey = pending.view.public_key_hex();
  out.sha256 = pending.sha256;
  out.journal_sequence = proof.sequence();
  return out;
}

absl::StatusOr<SignedHttp> SigningBoundary::SignRequest(const Caller& caller,
                                                        const UntrustedRequest& request) {
  ASSIGN_OR_RETURN(const PendingRequest pending, Begin(caller, request));
  return Finish(pending);
}

absl::StatusOr<SignedOctets> SigningBoundary::SignResult(const Caller& caller,
                                                         const UntrustedResult& result) {
  ASSIGN_OR_RETURN(const Pending pending, Begin(caller, result));
  return Finish(pending);
}

absl::StatusOr<SignedOctets> SigningBoundary::SignRawText(const Caller& caller,
                                                          const UntrustedRawText& raw) {
  ASSIGN_OR_RETURN(const Pending pending, Begin(caller, raw));
  return Finish(pending);
}

}  // namespace auspex::keyd
