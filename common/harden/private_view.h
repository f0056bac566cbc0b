// SPDX-License-Identifier: AGPL-3.0-only
// EnterPrivateView: for a process that must be able to mount (or start programs that do) and so
// cannot wear Landlock, and for one that must not reach sockets by their path, which Landlock does
// not cover. It gets user, mount, network and IPC namespaces of its own, and a root in
// which only what is listed exists: no home folder, no session bus, no socket of another service,
// no block device. The user keeps its number (root becomes number 1). No capability is left, so that what hides the rest
// cannot be taken down; programs that it starts may make namespaces of their own inside, where the
// kernel locks the mounts that they inherit. A process in a user namespace of its own can also not
// trace, or look through /proc into, the user's processes outside of it.
//
// Call from the main thread before other threads exist and before DisableDumps (a process that
// cannot be dumped may not write its own uid_map).
#ifndef AUSPEX_COMMON_HARDEN_PRIVATE_VIEW_H_
#define AUSPEX_COMMON_HARDEN_PRIVATE_VIEW_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace auspex {

// Absolute paths of files or folders, shown at their places with what is mounted below them;
// missing ones are skipped. A link is shown as a link to what it leads to. Where one path is inside
// another, the longer one decides.
struct ViewRules {
  std::vector<std::string> read_only;
  std::vector<std::string> read_write;
  std::vector<std::string> covered;  // folders that show empty and can hold nothing
  bool host_network = false;         // keeps the host's networks, abstract sockets included
  // Names below /dev, beside null, zero, full, random, urandom and tty.
  std::vector<std::string> devices;
};

// UNIMPLEMENTED with the step that failed when this host does not allow it: then nothing has
// changed. Any other failure leaves the process half-way and must end it.
absl::Status EnterPrivateView(const ViewRules& rules);

}  // namespace auspex

#endif  // AUSPEX_COMMON_HARDEN_PRIVATE_VIEW_H_
