// SPDX-License-Identifier: AGPL-3.0-only
// The last step of whoever started processes and is a subreaper: nothing of them is left.
#ifndef AUSPEX_CLI_PROCESS_STRAGGLERS_H_
#define AUSPEX_CLI_PROCESS_STRAGGLERS_H_

namespace auspex::cli {

// Kills and reaps every child of this process, adopted ones included, until there is none; gives up
// after two seconds on those that sit in an uninterruptible call. Call it when every Child has
// ended.
void KillStragglers();

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_PROCESS_STRAGGLERS_H_
