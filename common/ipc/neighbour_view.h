// SPDX-License-Identifier: AGPL-3.0-only
// A neighbour's run folder as a daemon with a private view sees it: the sockets, and of the roles'
// keys its own alone. Called at start, in user and home mode.
#ifndef AUSPEX_COMMON_IPC_NEIGHBOUR_VIEW_H_
#define AUSPEX_COMMON_IPC_NEIGHBOUR_VIEW_H_

#include <string_view>

#include "absl/status/status.h"
#include "common/harden/private_view.h"
#include "common/paths/layout.h"

namespace auspex {

// Adds to `rules`. `daemon` is "keyd" or "stated", `own` the role whose key is shown. Makes all role
// folders of the neighbour when it has yet to start: what does not exist cannot be covered.
absl::Status ShowNeighbour(const Layout& layout, std::string_view daemon, std::string_view own,
                           ViewRules& rules);

}  // namespace auspex

#endif  // AUSPEX_COMMON_IPC_NEIGHBOUR_VIEW_H_
