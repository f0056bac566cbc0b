// SPDX-License-Identifier: AGPL-3.0-only
// EndLeftovers: sandboxes of an earlier runnerd of the same state folder that are still alive,
// though their parent's death should have ended them. Call once at start, before the first sandbox
// and before SandboxHost::Prepare makes the folder anew.
#ifndef AUSPEX_RUNNERD_LEFTOVERS_H_
#define AUSPEX_RUNNERD_LEFTOVERS_H_

#include <string>

namespace auspex::runnerd {

// Kills every process whose /etc is `etc_folder` (the folder that sandboxes of this state folder
// show there) and every bubblewrap that names that folder on its command line, until none is found.
// Returns how many processes were killed.
int EndLeftovers(const std::string& etc_folder);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_LEFTOVERS_H_
