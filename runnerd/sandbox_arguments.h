// SPDX-License-Identifier: AGPL-3.0-only
// SandboxSpec -> bubblewrap's command line. The set of walls is fixed: a spec can only choose what
// is shown inside them, and nothing that it carries is ever searched, expanded or looked up. Pure
// functions, any thread.
//
// Every sandbox has: new user, process, network, IPC, UTS and cgroup namespaces; user and group
// 65534; no further user namespaces; no capabilities; the seccomp filter; an empty environment but
// for a fixed list; a read-only root with /usr, a synthetic /etc, a private /proc, a minimal
// read-only /dev; and one writable place, /unit, a tmpfs of fixed size (/dev/shm likewise). Nothing
// of the host is writable, so that nothing can be left on its disk.
#ifndef AUSPEX_RUNNERD_SANDBOX_ARGUMENTS_H_
#define AUSPEX_RUNNERD_SANDBOX_ARGUMENTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "runnerd/sandbox_host.h"
#include "runnerd/sandbox_run.h"

namespace auspex::runnerd {

struct SandboxSpec {
  std::vector<std::string> command;  // program and arguments as they are called inside
  std::vector<std::pair<std::string, std::string>>
      environment;  // added to PATH, HOME, TMPDIR and LANG
  std::string working_directory = "/";
  uint64_t unit_octets = 64 << 20;  // size of /unit; 0: no /unit at all
  uint64_t shm_octets = 64 << 20;   // size of /dev/shm; 0: none
  bool system_files = true;         // /usr, /etc: needed by everything that is not static
  // Nodes below /dev that are shown too; CheckNodes of gpu.h has looked at them.
  std::vector<std::string> devices;
  // The package's folder, lent, shown as /package: what was verified is what is bound. -1: none.
  int package_fd = -1;
  bool unpacker = false;  // auspex-unpack is shown
};

// Descriptor numbers in bubblewrap, see Launch in process.h.
struct SandboxDescriptors {
  int seccomp = 3;
  int status = 4;
  int first_place = 5;  // of ShownPlaces (shown.h), one after the other
};

// The whole command line, bubblewrap first. FAILED_PRECONDITION when bubblewrap is missing;
// INVALID_ARGUMENT for a host path that is not absolute or has a ".." component, for an environment
// name that is not [A-Z_]+, for text with a NUL octet.
absl::StatusOr<std::vector<std::string>> SandboxArguments(
    const SandboxHost& host, const SandboxSpec& spec, const SandboxDescriptors& descriptors = {});

// Makes `request` one of a sandbox: command line, filter, and the descriptors of what it shows,
// opened and checked. Fails as SandboxArguments and OpenPlaces do.
absl::Status PutIntoSandbox(const SandboxHost& host, const SandboxSpec& spec, RunRequest& request);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_SANDBOX_ARGUMENTS_H_
