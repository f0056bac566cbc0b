// SPDX-License-Identifier: AGPL-3.0-only
// What the first process of a sandbox knows of its own walls: the facts of the report's first line,
// by which runnerd decides what may be signed (runnerd/attestation.h).
#ifndef AUSPEX_RUNNERD_INIT_FACTS_H_
#define AUSPEX_RUNNERD_INIT_FACTS_H_

namespace auspex::unit_init {

// Reads this process's state from /proc. `landlock`: what EnterLandlock said. Before the first use
// of the others.
void LookAtOwnWalls(int landlock);

// Writes the report's first line; false on an error.
bool WriteStarted(int fd);

// The first wall that this process can tell to be missing, by its layer's name; null: none. A
// tenant's program is not started then.
const char* MissingWall();

}  // namespace auspex::unit_init

#endif  // AUSPEX_RUNNERD_INIT_FACTS_H_
