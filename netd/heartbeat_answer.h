// SPDX-License-Identifier: AGPL-3.0-only
// The answer to a heartbeat, and the worker view that upgrade and retire answer with too (wire
// protocol 5.2). Pure, any thread.
#ifndef AUSPEX_NETD_HEARTBEAT_ANSWER_H_
#define AUSPEX_NETD_HEARTBEAT_ANSWER_H_

#include "absl/status/statusor.h"
#include "auspex/stated/v1/stated.pb.h"
#include "common/http/http_message.h"

namespace auspex {

// What to record of a heartbeat: `ok` true with tier and release, for a 200 that has what is
// required. INVALID_ARGUMENT or ABORTED with a printable message otherwise. A malformed release
// announcement is left out, never an error.
absl::StatusOr<stated::v1::RecordHeartbeatRequest> ReadHeartbeatAnswer(
    const HttpResponse& response);

}  // namespace auspex

#endif  // AUSPEX_NETD_HEARTBEAT_ANSWER_H_
