// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/sandbox_arguments.h"

#include <initializer_list>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/ids/ids.h"
#include "runnerd/init/protocol.h"
#include "runnerd/shown.h"

namespace auspex::runnerd {
namespace {

absl::Status CheckHostPath(std::string_view path) {
  if (path.empty() || path[0] != '/' || path.find('\0') != std::string_view::npos ||
      Cat(path, "/").find("/../") != std::string::npos) {
    return absl::InvalidArgumentError(
        Cat("sandbox: '", Printable(path), "' is no plain absolute path"));
  }
  return absl::OkStatus();
}

absl::Status CheckSpec(const SandboxHost& host, const SandboxSpec& spec) {
  if (host.bubblewrap.empty())
    return absl::FailedPreconditionError("bubblewrap: bwrap is not installed");
  if (spec.command.empty()) return absl::InvalidArgumentError("sandbox: no command");
  RETURN_IF_ERROR(CheckHostPath(spec.working_directory));
  for (const std::string& device : spec.devices) {
    RETURN_IF_ERROR(CheckHostPath(device));
    if (!device.starts_with("/dev/"))
      return absl::InvalidArgumentError(Cat("sandbox: ", Printable(device), " is not below /dev"));
  }
  for (const auto& [name, value] : spec.environment) {
    if (name.empty() ||
        name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") != std::string::npos) {
      return absl::InvalidArgumentError(
          Cat("sandbox: '", Printable(name), "' is no name of a variable"));
    }
    if (value.find('\0') != std::string::npos)
      return absl::InvalidArgumentError(Cat("sandbox: ", name, ": NUL octet"));
  }
  for (const std::string& argument : spec.command) {
    if (argument.find('\0') != std::string::npos)
      return absl::InvalidArgumentError("sandbox: argument with a NUL octet");
  }
  return absl::OkStatus();
}

class Line {
 public:
  void Add(std::initializer_list<std::string> words) { words_.insert(words_.end(), words); }
  std::vector<std::string> Take() { return std::move(words_); }

 private:
  std::vector<std::string> words_;
};

void AddIsolation(Line& line, const SandboxDescriptors& descriptors) {
  line.Add({"--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
            "--unshare-cgroup-try"});
  line.Add({"--disable-userns", "--uid", Cat(unit_init::kSandboxUid), "--gid",
            Cat(unit_init::kSandboxUid)});
  line.Add({"--hostname", unit_init::kHostName, "--die-with-parent", "--new-session", "--cap-drop",
            "ALL"});
  // Our init is process 1 itself: bubblewrap's own would stand outside the seccomp filter with a
  // tenant's user id.
  line.Add({"--as-pid-1"});
  line.Add({"--seccomp", Cat(descriptors.seccomp), "--json-status-fd", Cat(descriptors.status)});
}

// The destinations are bound in this order, each by a descriptor of its own.
void AddPlaces(Line& line, const std::vector<ShownPlace>& places, int first_descriptor) {
  for (const ShownPlace& place : places)
    line.Add({"--ro-bind-fd", Cat(first_descriptor++), place.destination});
}

void AddFiles(Line& line, const SandboxHost& host, const SandboxSpec& spec,
              const SandboxDescriptors& descriptors) {
  // Mounts of our own first: what is shown may lie below them, never they below what is shown.
  // /proc is read-only: /proc/sys answers to the real user id, which a service under root would
  // lend to tenants, and nothing a tenant needs is written there.
  line.Add({"--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev"});
  if (spec.shm_octets > 0) line.Add({"--size", Cat(spec.shm_octets), "--tmpfs", "/dev/shm"});
  // By path: bubblewrap binds devices by no descriptor, and only root makes nodes in /dev.
  for (const std::string& device : spec.devices) line.Add({"--dev-bind", device, device});
  line.Add({"--remount-ro", "/dev"});
  if (spec.unit_octets > 0) {
    line.Add({"--perms", "0700", "--size", Cat(spec.unit_octets), "--tmpfs", unit_init::kUnitDir});
    line.Add({"--dir", unit_init::kTmpDir, "--dir", unit_init::kModelsDir, "--symlink", "unit/tmp",
              "/tmp"});
  }
  AddPlaces(line, ShownPlaces(host, spec), descriptors.first_place);
  if (spec.system_files) {
    for (const auto& link : host.root_links) line.Add({"--symlink", link.target, link.path});
  }
  line.Add({"--remount-ro", "/", "--chdir", spec.working_directory});
}

// A word that only EndLeftovers reads: what shows is bound by descriptor, and a bubblewrap that lost its parent before it built
// anything has nothing else to be known by. --clearenv takes it away again, so that it reaches nobody inside.
void AddMark(Line& line, const SandboxHost& host) {
  line.Add({"--setenv", "AUSPEX_SANDBOX_OF", host.etc_folder});
}

void AddEnvironment(Line& line, const SandboxSpec& spec) {
  line.Add({"--clearenv", "--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin", "--setenv", "LANG",
            "C.UTF-8"});
  line.Add({"--setenv", "HOME", unit_init::kUnitDir, "--setenv", "TMPDIR", "/tmp"});
  for (const auto& [name, value] : spec.environment) line.Add({"--setenv", name, value});
}

}  // namespace

absl::StatusOr<std::vector<std::string>> SandboxArguments(const SandboxHost& host,
                                                          const SandboxSpec& spec,
                                                          const SandboxDescriptors& descriptors) {
  RETURN_IF_ERROR(CheckSpec(host, spec));
  Line line;
  line.Add({host.bubblewrap});
  AddMark(line, host);
  AddIsolation(line, descriptors);
  AddFiles(line, host, spec, descriptors);
  AddEnvironment(line, spec);
  line.Add({"--"});
  std::vector<std::string> words = line.Take();
  words.insert(words.end(), spec.command.begin(), spec.command.end());
  return words;
}

absl::Status PutIntoSandbox(const SandboxHost& host, const SandboxSpec& spec, RunRequest& request) {
  ASSIGN_OR_RETURN(request.arguments, SandboxArguments(host, spec));
  ASSIGN_OR_RETURN(request.shown, OpenPlaces(ShownPlaces(host, spec), host.of_root));
  request.seccomp = spec.devices.empty() ? &host.seccomp : &host.seccomp_with_devices;
  request.cgroups = host.cgroups;
  return absl::OkStatus();
}

}  // namespace auspex::runnerd
