// SPDX-License-Identifier: AGPL-3.0-only
// Retention: keeps the database bounded (W-52) by deleting what is final from the old end, a small
// batch a transaction so that no other write waits long. Plain functions; any thread, blocking.
#ifndef AUSPEX_STATED_RETENTION_H_
#define AUSPEX_STATED_RETENTION_H_

#include "absl/status/status.h"
#include "stated/context.h"

namespace auspex::stated {

// Prunes all that is above the bounds of context.settings. Never touches a unit in hand, an unsent
// result or refusal, or (below a hundred times the bound) a result whose receipt is still awaited.
absl::Status PruneAll(Context& context);

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_RETENTION_H_
