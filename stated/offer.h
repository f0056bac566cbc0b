// SPDX-License-Identifier: AGPL-3.0-only
// Intake: an assignment that the coordinator handed out meets the gates (wire protocol 6.2) and
// becomes a unit or a refusal, with its audit row, in one transaction. Safe from any thread; Offer
// blocks on the database.
#ifndef AUSPEX_STATED_OFFER_H_
#define AUSPEX_STATED_OFFER_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/ids/ids.h"
#include "stated/context.h"

namespace auspex::stated {

// The largest payload of a unit or result, in octets: what fits in a request of 2 MiB with the rest
// of the body.
inline constexpr size_t kMaxPayloadOctets = 1536 * 1024;
// More units than this are never in hand; netd asks for at most 64 at a time.
inline constexpr int64_t kMaxInHand = 128;
// Results and refusals that are not sent yet, above which an offer is RESOURCE_EXHAUSTED.
inline constexpr int64_t kMaxUnsent = 1000;
inline constexpr int64_t kMaxUnsentOctets = int64_t{512} * 1024 * 1024;

// The fields as they came; views into the caller's message.
struct UntrustedOffer {
  std::string_view assignment_id, experiment_id, unit_id, tenant_id, experiment_label,
      manifest_sha256, created_at, canonical_payload, envelope_schema_version;
};

struct ParsedOffer {
  AssignmentId assignment_id;
  ExperimentId experiment_id;
  UnitId unit_id;
  TenantId tenant_id;
  ExperimentLabel experiment_label;
  Sha256Hex manifest_sha256;
  std::string created_at;              // normalised, offset kept
  std::string_view canonical_payload;  // one canonical JSON object; a view into the message
  bool sensitive = false;              // payload.sensitive_content_flags names at least one string
};
// INVALID_ARGUMENT names the first field that is not of its kind.
absl::StatusOr<ParsedOffer> ParseOffer(const UntrustedOffer& untrusted);

struct OfferDecision {
  std::string decision;  // "accepted", "known", or a refusal kind
  std::string reason;    // for a refusal
};

class Intake {
 public:
  explicit Intake(Context& context) : context_(context) {}
  // INVALID_ARGUMENT for a field; FAILED_PRECONDITION when not enrolled; RESOURCE_EXHAUSTED when
  // too many units are in hand.
  absl::StatusOr<OfferDecision> Offer(const UntrustedOffer& untrusted);

 private:
  Context& context_;
};

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_OFFER_H_
