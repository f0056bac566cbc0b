// SPDX-License-Identifier: AGPL-3.0-only
// What netd may use of the host once it is confined: what name look-up and TLS read, its own run
// folder, and the keys of the two roles that it has a part in. No other role's key and no daemon's
// state. As rules for Landlock, and as a view that also takes the sockets of everybody else away.
// Called before netd confines itself.
#ifndef AUSPEX_NETD_CONFINEMENT_H_
#define AUSPEX_NETD_CONFINEMENT_H_

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "common/harden/harden.h"
#include "common/harden/private_view.h"
#include "common/paths/layout.h"

namespace auspex {

// Makes the folders of netd's role keys when their servers have yet to start, since a rule needs a
// folder to hold on to. Errors are those of EnsureRoleKey.
absl::StatusOr<FileRules> NetdFiles(const Config& config, const Layout& layout);
// For user and home mode. Errors as above.
absl::StatusOr<ViewRules> NetdView(const Config& config, const Layout& layout);

}  // namespace auspex

#endif  // AUSPEX_NETD_CONFINEMENT_H_
