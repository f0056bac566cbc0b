// SPDX-License-Identifier: AGPL-3.0-only
// The built-in executor: its payload is {"echo": <the unit's payload, verbatim>, "executor":
// "builtin-echo"}.
#ifndef AUSPEX_RUNNERD_INIT_ECHO_H_
#define AUSPEX_RUNNERD_INIT_ECHO_H_

namespace auspex::unit_init {

// Reads the canonical payload from descriptor 0 and writes the report to descriptor 1. Returns the
// exit status.
int RunEcho();

}  // namespace auspex::unit_init

#endif  // AUSPEX_RUNNERD_INIT_ECHO_H_
