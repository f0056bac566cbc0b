// SPDX-License-Identifier: AGPL-3.0-only
// What a sandbox looks like from inside: facts, one "name=value" a line, that runnerd's probe
// (runnerd/probe.h) judges.
#ifndef AUSPEX_RUNNERD_INIT_SELF_LOOK_H_
#define AUSPEX_RUNNERD_INIT_SELF_LOOK_H_

namespace auspex::unit_init {

// Tries each wall from inside and reports on descriptor 1. Returns the exit status.
int RunSelfLook();

}  // namespace auspex::unit_init

#endif  // AUSPEX_RUNNERD_INIT_SELF_LOOK_H_
