// SPDX-License-Identifier: AGPL-3.0-only
// What of the host a sandbox shows, read-only, as data with a reason each, and its opening: every place is
// opened once, checked through that descriptor, and bound by it, so that no path is walked a second
// time between the check and the use (bubblewrap holds what it mounted against the descriptor).
// Any thread.
#ifndef AUSPEX_RUNNERD_SHOWN_H_
#define AUSPEX_RUNNERD_SHOWN_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"
#include "runnerd/sandbox_host.h"

namespace auspex::runnerd {

struct SandboxSpec;

// Each must be root's or this process's user's, and not writable by everybody.
struct ShownPlace {
  enum class Kind { kFolder, kFile };
  std::string source;       // on the host
  std::string destination;  // inside
  Kind kind = Kind::kFolder;
  std::string_view reason;
  int held = -1;  // a descriptor of it that is lent; `source` then only names it in messages
};

// The places of a sandbox in the order in which they are bound.
std::vector<ShownPlace> ShownPlaces(const SandboxHost& host, const SandboxSpec& spec);

// The places of root that this host's sandboxes may show, as they are now: in a container, of the
// root that its user namespace maps. None in a namespace that maps no root. Called before runnerd
// goes into a view, which maps its own user alone, and kept in SandboxHost.
FileIdentities PlacesOfRoot(const SandboxHost& host);

// A path descriptor of each. FAILED_PRECONDITION names the place and why it is not shown: it is a
// link or of another type, somebody else's, or writable by everybody. What belongs to a user who is
// not mapped here is somebody else's unless it is among `of_root`: only root can have changed that
// since. (A worker of the user "nobody", whose number the kernel shows for all who are not mapped,
// cannot tell them from itself.)
absl::StatusOr<std::vector<UniqueFd>> OpenPlaces(const std::vector<ShownPlace>& places,
                                                 const FileIdentities& of_root);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_SHOWN_H_
