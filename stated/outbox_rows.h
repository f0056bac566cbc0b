// SPDX-License-Identifier: AGPL-3.0-only
// Rows of the outbox: the bodies that are composed once and the inserts, for use inside a
// transaction. Plain functions.
#ifndef AUSPEX_STATED_OUTBOX_ROWS_H_
#define AUSPEX_STATED_OUTBOX_ROWS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/wire/refusal.h"
#include "stated/sqlite.h"
#include "stated/units.h"

namespace auspex::stated {

// The numbers are stored; never reuse one.
enum class OutboxKind : int { kResult = 1, kRefusal = 2, kReceipt = 3, kPackage = 4 };
// "result", "refusal", "receipt", "package".
std::string_view OutboxKindWord(OutboxKind kind);

// The body of 5.4 as canonical JSON. `reason` has been cleaned.
std::string RefusalBody(std::string_view assignment_id, RefusalKind kind, std::string_view reason);

// Puts a refusal of `unit` into the outbox, due now, in place of an older one of the same
// assignment. Counts it.
absl::Status EnqueueRefusal(Connection& db, const UnitRow& unit, RefusalKind kind,
                            std::string_view reason, int64_t now);
absl::Status EnqueueResult(Connection& db, const UnitRow& unit, std::string_view body, int64_t now);
absl::Status EnqueueReceipt(Connection& db, const UnitRow& unit, std::string_view result_id,
                            int64_t now);
// An item for the package of `manifest_sha256`; the id of the one that is there already, if any.
absl::StatusOr<int64_t> EnqueuePackage(Connection& db, std::string_view manifest_sha256,
                                       int64_t now);

absl::Status DeleteOutboxItem(Connection& db, int64_t id);

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_OUTBOX_ROWS_H_
