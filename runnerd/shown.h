// SPDX-License-Identifier: AGPL-3.0-only
// What of the host a sandbox shows, as data with a reason each, and its opening: every place is
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

struct ShownPlace {
  enum class Kind { kFolder, kFile };
  // Whose it must be. Nobody else may be able to write to any of them.
  enum class Owner {
    kSystem,  // root's or this process's user's
    kAny,     // a package: its digest says what it is
  };
  std::string source;       // on the host
  std::string destination;  // inside
  Kind kind = Kind::kFolder;
  Owner owner = Owner::kSystem;
  bool writable = false;
  std::string_view reason;
  int held = -1;  // a descriptor of it that is lent; `source` then only names it in messages
};

// The places of a sandbox in the order in which they are bound.
std::vector<ShownPlace> ShownPlaces(const SandboxHost& host, const SandboxSpec& spec);

// A path descriptor of each. FAILED_PRECONDITION names the place and why it is not shown: it is a
// link or of another type, somebody else's, or writable by everybody. Where this process lives in a
// user namespace, users that are not mapped into it cannot be told apart and pass for root.
absl::StatusOr<std::vector<UniqueFd>> OpenPlaces(const std::vector<ShownPlace>& places);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_SHOWN_H_
