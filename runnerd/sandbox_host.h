// SPDX-License-Identifier: AGPL-3.0-only
// SandboxHost: what every sandbox of this process is made of and that does not change while it
// runs: bubblewrap, our two static programs, the folder that becomes /etc, the shape of the host's
// root, the seccomp program. Made once at start; immutable and safe from any thread afterwards.
#ifndef AUSPEX_RUNNERD_SANDBOX_HOST_H_
#define AUSPEX_RUNNERD_SANDBOX_HOST_H_

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"
#include "runnerd/cgroup/tree.h"

namespace auspex::runnerd {

// Device and inode.
using FileIdentities = std::set<std::pair<uint64_t, uint64_t>>;

struct SandboxHost {
  std::string state_dir;   // runnerd's; named in errors of this host, and cut out of what leaves it
  std::string bubblewrap;  // absolute; empty: not installed
  std::string unit_init;   // absolute
  std::string unpack;      // absolute
  std::string escape_probe;        // absolute; empty: not installed, and no self-test
  std::string etc_folder;          // ours, sealed; becomes /etc
  bool bind_ld_cache = false;      // the host has /etc/ld.so.cache
  bool bind_alternatives = false;  // the host has /etc/alternatives
  struct RootLink {
    std::string path, target;
  };
  std::vector<RootLink> root_links;       // /bin -> usr/bin and so on, as on a merged-usr host
  std::vector<std::string> root_folders;  // the same names where they are real folders
  FileIdentities of_root;                 // see PlacesOfRoot in shown.h
  UniqueFd seccomp;                       // see seccomp_filter.h
  UniqueFd seccomp_with_devices;          // for units that the owner gave accelerators
  // Lent: where sandboxes get their cgroups; null: nowhere.
  CgroupTree* cgroups = nullptr;

  struct Options {
    std::string state_dir;    // an own folder "sandbox-etc" is made in it
    std::string program_dir;  // where auspex-unit-init and auspex-unpack are; empty: beside this
                              // program, then ../libexec/auspex
    std::string bubblewrap;   // empty: /usr/bin/bwrap, /bin/bwrap, /usr/local/bin/bwrap
    CgroupTree* cgroups = nullptr;  // lent for as long as the host lives; null: none
  };
  // The folder that shows as /etc in sandboxes of this state folder; EndLeftovers knows them by it.
  static std::string EtcFolder(const std::string& state_dir) { return state_dir + "/sandbox-etc"; }
  // Before this process goes into a user namespace. NOT_FOUND when our own programs are missing; a missing bubblewrap is no error here (units are
  // refused then).
  static absl::StatusOr<SandboxHost> Prepare(const Options& options);
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_SANDBOX_HOST_H_
