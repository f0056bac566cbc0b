// SPDX-License-Identifier: AGPL-3.0-only
// Whose services are installed, and who else is at work on a worker: what `service install` and `daemon` ask before they begin. One thread.
#ifndef AUSPEX_CLI_SERVICE_INSTALLED_H_
#define AUSPEX_CLI_SERVICE_INSTALLED_H_

#include "absl/status/status.h"
#include "cli/service/unit_store.h"
#include "cli/service/user_manager.h"
#include "common/paths/layout.h"

namespace auspex::cli {

// Which worker the installed units are for.
enum class InstalledFor { kNobody, kThisWorker, kAnotherWorker };
InstalledFor WhoseUnits(const UnitStore& store, const Layout& layout);

// Whether the person's manager runs the services of this worker now.
bool ServicesRun(const UnitStore& store, const Layout& layout);

// FAILED_PRECONDITION naming the process that runs this worker or one of its daemons, or a command that is at work on it.
absl::Status NobodyElseRuns(const Layout& layout);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_SERVICE_INSTALLED_H_
