// SPDX-License-Identifier: AGPL-3.0-only
// Reads what a tenant's executor wrote (wire protocol section 10) into the members of a result.
// Pure, any thread.
#ifndef AUSPEX_RUNNERD_EXECUTOR_OUTPUT_H_
#define AUSPEX_RUNNERD_EXECUTOR_OUTPUT_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "runnerd/unit.h"

namespace auspex::runnerd {

// The canonical payload that keyd and stated take at most.
inline constexpr size_t kMaxCanonicalPayload = 1536 * 1024;
// Payload and raw text as a submission has them. A coordinator takes 2 MiB; the rest of the body is a few KiB.
inline constexpr size_t kMaxPayloadAndRawText = 2 * 1024 * 1024 - 16 * 1024;

// One JSON object under limits: `payload` an object; `exit_code`, if present, an integer of
// -255..255; `completed_at`, if present, a timestamp (brought into the form of 4.2; else
// `now_micros`); `unit_id`, if present, the unit's. Numbers must be finite, and no object may have a
// name twice. With `capture_raw` a text raw_response is taken out of the payload; one that is empty or
// no text is dropped, and with the payload it may have kMaxPayloadAndRawText.
// INVALID_ARGUMENT names the member. ran_under is left empty.
absl::StatusOr<UnitResult> ParseExecutorOutput(std::string_view untrusted_text,
                                               const UnitId& unit_id, bool capture_raw,
                                               int64_t now_micros);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_EXECUTOR_OUTPUT_H_
