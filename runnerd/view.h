// SPDX-License-Identifier: AGPL-3.0-only
// What runnerd sees of the host (common/harden/private_view.h): it must be able to mount, through
// bubblewrap, and so has no Landlock. Its own state and run folder; programs and libraries; the
// owner's configuration, packages and models, to read; the sockets of keyd and stated with the keys
// of its own two roles. No other role's key, no other daemon's state, nothing else of the user's.
// Called once, at start.
#ifndef AUSPEX_RUNNERD_VIEW_H_
#define AUSPEX_RUNNERD_VIEW_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "common/harden/private_view.h"
#include "common/paths/layout.h"

namespace auspex::runnerd {

// For user and home mode. `also` are further files and folders to read: where the programs of
// sandboxes are, another root for temperatures. Makes the data folder and the role folders of the
// sockets when they are missing, so that there is something to show or to cover.
absl::StatusOr<ViewRules> ViewOfHost(const Config& config, const Layout& layout,
                                     std::vector<std::string> also);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_VIEW_H_
