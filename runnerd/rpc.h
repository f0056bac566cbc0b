// SPDX-License-Identifier: AGPL-3.0-only
// CallUntilAnswered: one unary call to a neighbouring daemon, again and again while that daemon is
// not there. Included by client files only, since it brings gRPC along.
#ifndef AUSPEX_RUNNERD_RPC_H_
#define AUSPEX_RUNNERD_RPC_H_

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/ipc/channel.h"
#include "common/log/log.h"

namespace auspex::runnerd {

// How long one attempt may take, in seconds.
inline constexpr double kRpcSeconds = 10;

// The pause, in seconds, at which a failure is no passing moment any more. One of the doubled
// values below.
inline constexpr double kSayAfter = 0.02 * 32;

// How long a peer that answers with trouble is asked again, in seconds of pauses, where something can be done instead: a full disk gets time to
// be emptied, and a defect does not hold a slot for ever.
inline constexpr double kTroubleSeconds = 120;
// Where nothing can be done instead: what the peer does not hear it goes on counting on.
inline constexpr double kForEver = std::numeric_limits<double>::infinity();

// Whether the peer is there and its answer is neither yes nor no. Such an answer may never change:
// gRPC itself says RESOURCE_EXHAUSTED of a message that is too large.
inline bool IsTrouble(absl::StatusCode code) {
  using enum absl::StatusCode;
  return code == kResourceExhausted || code == kInternal || code == kUnknown;
}

// Whether keyd signs no more of an intent at this moment (its rates): that passes by itself, however
// long it takes, and a finished unit is not given up for it.
inline bool IsRateRefusal(const absl::Status& status) {
  return status.code() == absl::StatusCode::kResourceExhausted &&
         std::string_view(status.message().data(), status.message().size()).find(": rate: ") !=
             std::string_view::npos;
}

// Whether a call may succeed when it is made again unchanged: the peer is away or in trouble, and
// has not said no.
inline bool IsPassing(absl::StatusCode code) {
  using enum absl::StatusCode;
  return code == kUnavailable || code == kDeadlineExceeded || code == kAborted ||
         code == kCancelled || IsTrouble(code);
}

// `call(context)` makes the call. `pause(seconds)` waits between attempts and says whether to give
// up (then the last failure is returned). A peer that is away is waited for without end, one in
// trouble for `trouble_seconds` on end. Calls must be such that a repetition does no harm.
template <typename Call, typename Pause>
absl::Status CallUntilAnswered(std::string_view what, Call call, Pause pause,
                               double trouble_seconds) {
  double trouble = 0;
  for (double delay = 0.02;; delay = std::min(delay * 2, 1.0)) {
    grpc::ClientContext context;
    SetDeadline(context, kRpcSeconds);
    absl::Status status = FromGrpc(call(context), what);
    if (status.ok() || !IsPassing(status.code())) return status;
    trouble = IsTrouble(status.code()) && !IsRateRefusal(status) ? trouble + delay : 0;
    if (trouble > trouble_seconds) return status;
    // Said once: a unit that stands still has a cause that can be read.
    if (delay == kSayAfter)
      LogWarning("waiting_for_neighbour", {{"error", std::string(status.message())}});
    if (pause(delay)) return status;
  }
}

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_RPC_H_
