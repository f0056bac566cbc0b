// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/signing_boundary.h"

#include <algorithm>
#include <utility>

#include "common/base/cat.h"
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

  const KeyRing::View view = keys_.view();
  if (!view.has_key()) return recorder_.Refuse(std::move(entry), NoKey());
  if (view.enrolment() == nullptr) {
    return recorder_.Refuse(std::move(entry),
                            absl::FailedPreconditionError("no enrolment: run `auspex bootstrap`"));
  }
  absl::StatusOr<ComposedRequest> composed =
      ComposeRequest(request, *view.enrolment(), view.public_key_hex(), clock_.NowSeconds());
  if (!composed.ok()) return recorder_.Refuse(std::move(entry), composed.status());
  if (absl::Status s = CheckMayRelease(request, *composed); !s.ok()) {
    return recorder_.Refuse(std::move(entry), s);
  }
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
absl::Status SigningBoundary::CheckMayRelease(const UntrustedRequest& request,
                                              const ComposedRequest& composed) {
  RETURN_IF_ERROR(CheckClock(composed.parts.created));
  if (request.intent == Intent::kSubmitResult) {
    RETURN_IF_ERROR(ledger_.ClaimSubmission(composed.subject, composed.body));
  }
  if (const auto act = GrantNeededFor(request.intent)) return grants_.Take(*act);
  return absl::OkStatus();
}

absl::Status SigningBoundary::CheckClock(int64_t created) {
  std::lock_guard lock(clock_mutex_);
  if (created < newest_created_ - kMaxClockStepBackSeconds) {
    return absl::FailedPreconditionError(Cat("the clock was set back by ",
                                             newest_created_ - created,
                                             " s; if it is right now, restart auspex-keyd"));
  }
  newest_created_ = std::max(newest_created_, created);
  return absl::OkStatus();
}

absl::StatusOr<SignedOctets> SigningBoundary::SignResult(const Caller& caller,
                                                         const UntrustedResult& result) {
  JournalEntry entry;
  entry.caller = caller;
  entry.intent = Intent::kSignResult;
  entry.subject = result.assignment_id;
  entry.unit = result.unit_id;
  const KeyRing::View view = keys_.view();
  if (!view.has_key()) return recorder_.Refuse(std::move(entry), NoKey());
  const absl::StatusOr<ComposedResult> composed = ComposeResult(result, view.public_key_hex());
  if (composed.ok()) {
    const Digest32 digest = ToDigest(Sha256(composed->octets));
    if (absl::Status s = ledger_.ClaimResult(composed->subject, digest); !s.ok()) {
      return recorder_.Refuse(std::move(entry), s);
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
  const KeyRing::View view = keys_.view();
  if (!view.has_key()) return recorder_.Refuse(std::move(entry), NoKey());
  return FinishResult(view, std::move(entry), ComposeRawText(raw, view.public_key_hex()));
}

absl::StatusOr<SignedOctets> SigningBoundary::FinishResult(
    const KeyRing::View& view, JournalEntry entry, const absl::StatusOr<ComposedResult>& composed) {
  if (!composed.ok()) return recorder_.Refuse(std::move(entry), composed.status());
  return Release(view, std::move(entry), composed->octets);
}

absl::StatusOr<SignedOctets> SigningBoundary::Release(const KeyRing::View& view, JournalEntry entry,
                                                      std::string_view octets) {
  SignedOctets out;
  out.sha256 = Sha256(octets);
  entry.outcome = Outcome::kSigned;
  entry.digest = ToDigest(out.sha256);
  ASSIGN_OR_RETURN(const DurableRecord proof, recorder_.Record(std::move(entry)));
  ASSIGN_OR_RETURN(out.signature, keys_.Sign(view, proof, octets));
  recorder_.CountSignature();
  out.worker_pubkey = view.public_key_hex();
  out.journal_sequence = proof.sequence();
  return out;
}

}  // namespace auspex::keyd
