// SPDX-License-Identifier: AGPL-3.0-only
// The second wall: Landlock rules that a unit's processes carry inside the namespaces. They hold
// where a mount that should not be there would be, and keep a tenant from signalling or tracing the
// init above it.
#ifndef AUSPEX_RUNNERD_INIT_LANDLOCK_H_
#define AUSPEX_RUNNERD_INIT_LANDLOCK_H_

namespace auspex::unit_init {

// The newest interface of Landlock that is used here.
inline constexpr int kNewestLandlockAbi = 7;

// What the running kernel offers, at most kNewestLandlockAbi; 0: nothing.
int LandlockAbi();

// Restricts the calling process for good, what it may do before included: read and execute what a
// sandbox shows, write only below /unit and /dev/shm and to six devices, no TCP, no signal and no
// abstract socket across the border. Called again, it makes a further domain inside. Returns the
// interface whose rules are now in force, which were tried; 0 when the kernel has none; -1 with
// errno when it has and they could not be set.
int EnterLandlock();

}  // namespace auspex::unit_init

#endif  // AUSPEX_RUNNERD_INIT_LANDLOCK_H_
