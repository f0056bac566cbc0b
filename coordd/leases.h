// SPDX-License-Identifier: AGPL-3.0-only
// Freeing the places of workers that vanished (coordinator 7.5, the lab's rule). An open assignment
// whose last offer is older than `expire_leases` leases gives its place back when the worker sent
// no heartbeat for as long, or when it has had all its offers. The row becomes a refusal of kind
// "lease_expired"; a late good result for it is still taken.
#ifndef AUSPEX_COORDD_LEASES_H_
#define AUSPEX_COORDD_LEASES_H_

#include <cstdint>

#include "coordd/services.h"

namespace auspex::coordd {

// Number of places that were freed. Called inside a savepoint.
int64_t FreeSilentPlaces(Services& services, int64_t now);

// Counts one place of the unit as free again.
void GivePlaceBack(Services& services, int64_t unit);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_LEASES_H_
