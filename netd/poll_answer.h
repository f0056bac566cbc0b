// SPDX-License-Identifier: AGPL-3.0-only
// The answer to a poll (wire protocol 5.3, 6.1): a unit, no work, or a hold. Every identifier is
// parsed into its type before anything is made of it, so that an answer that does not fit is a
// failed poll and sends nothing (W1, W6, W12). Pure, any thread.
#ifndef AUSPEX_NETD_POLL_ANSWER_H_
#define AUSPEX_NETD_POLL_ANSWER_H_

#include <variant>

#include "absl/status/statusor.h"
#include "auspex/stated/v1/stated.pb.h"
#include "common/http/http_message.h"

namespace auspex {

// Largest answer to a poll and largest canonical payload, in octets.
inline constexpr uint64_t kMaxPollAnswer = 4 * 1024 * 1024;
inline constexpr size_t kMaxCanonicalPayload = 1536 * 1024;

// A unit to offer to stated, or what to record.
using PollAnswer = std::variant<stated::v1::OfferRequest, stated::v1::RecordPollRequest>;

// INVALID_ARGUMENT, RESOURCE_EXHAUSTED or ABORTED with a printable message: a failed poll.
absl::StatusOr<PollAnswer> ReadPollAnswer(const HttpResponse& response);

// True when the coordinator says that it waited as asked (Preference-Applied: wait..., RFC 7240
// section 3).
bool WaitWasApplied(const HttpResponse& response);

}  // namespace auspex

#endif  // AUSPEX_NETD_POLL_ANSWER_H_
