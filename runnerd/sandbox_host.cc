// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/sandbox_host.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"
#include "runnerd/host_places.h"
#include "runnerd/init/protocol.h"
#include "runnerd/seccomp_filter.h"
#include "runnerd/shown.h"

namespace auspex::runnerd {
namespace {

struct EtcFile {
  const char* name;
  const char* content;
};
// Enough for programs that ask who and where they are; nothing of the host's.
constexpr EtcFile kEtcFiles[] = {
    {"passwd",
     "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nunit:x:65534:65534:unit:/unit:/usr/sbin/"
     "nologin\n"},
    {"group", "root:x:0:\nunit:x:65534:\n"},
    {"hosts", "127.0.0.1 localhost auspex\n::1 localhost\n"},
    {"hostname", "auspex\n"},
    {"nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"},
    {"resolv.conf", ""},
    {"host.conf", "multi on\n"},
    {"os-release", "NAME=auspex-sandbox\nID=auspex-sandbox\n"},
    {"ld.so.cache", ""},  // mount point for the host's
};

std::string OwnFolder() {
  char path[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  if (n <= 0) return "";
  std::string self(path, static_cast<size_t>(n));
  return self.substr(0, self.rfind('/'));
}

bool IsExecutable(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && access(path.c_str(), X_OK) == 0;
}

bool Exists(const char* path) {
  struct stat info;
  return stat(path, &info) == 0;
}

absl::StatusOr<std::string> FindProgram(const std::string& name, const std::string& program_dir) {
  std::vector<std::string> places{program_dir};
  if (program_dir.empty()) {
    const std::string own = OwnFolder();
    places = {own, Cat(own, "/../libexec/auspex"), Cat(own, "/../lib/auspex")};
  }
  for (const std::string& place : places) {
    std::string path = Cat(place, "/", name);
    char resolved[PATH_MAX];
    if (IsExecutable(path) && realpath(path.c_str(), resolved) != nullptr)
      return std::string(resolved);
  }
  return absl::NotFoundError(Cat(name, ": not found in ", places[0], "; reinstall auspex"));
}

absl::Status MakeEtc(const std::string& folder) {
  RETURN_IF_ERROR(RemoveTree(folder));
  RETURN_IF_ERROR(MakePrivateDirectory(folder));
  for (const EtcFile& file : kEtcFiles) {
    RETURN_IF_ERROR(WriteFileAtomically(Cat(folder, "/", file.name), file.content, 0444));
  }
  if (mkdir(Cat(folder, "/alternatives").c_str(), 0555) != 0)
    return ErrnoStatus(errno, "mkdir", Cat(folder, "/alternatives"));
  if (symlink("/usr/share/zoneinfo/UTC", Cat(folder, "/localtime").c_str()) != 0) {
    return ErrnoStatus(errno, "symlink", Cat(folder, "/localtime"));
  }
  if (chmod(folder.c_str(), 0555) != 0) return ErrnoStatus(errno, "chmod", folder);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SandboxHost> SandboxHost::Prepare(const Options& options) {
  SandboxHost host;
  host.state_dir = options.state_dir;
  host.cgroups = options.cgroups;
  ASSIGN_OR_RETURN(host.unit_init, FindProgram("auspex-unit-init", options.program_dir));
  ASSIGN_OR_RETURN(host.unpack, FindProgram("auspex-unpack", options.program_dir));
  host.escape_probe = FindProgram("auspex-escape-probe", options.program_dir).value_or("");
  if (!options.bubblewrap.empty()) {
    if (IsExecutable(options.bubblewrap)) host.bubblewrap = options.bubblewrap;
  } else {
    // Fixed places: a search through PATH would let the environment choose the program that builds
    // the walls.
    for (const char* path : {"/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap"}) {
      if (sizeof kBubblewrap > 1) path = kBubblewrap;
      if (host.bubblewrap.empty() && IsExecutable(path)) host.bubblewrap = path;
    }
  }
  host.etc_folder = EtcFolder(options.state_dir);
  RETURN_IF_ERROR(MakeEtc(host.etc_folder));
  host.bind_ld_cache = Exists("/etc/ld.so.cache");
  host.bind_alternatives = Exists("/etc/alternatives");
  for (const char* name : {"bin", "sbin", "lib", "lib64"}) {
    const std::string path = Cat("/", name);
    struct stat info;
    if (lstat(path.c_str(), &info) != 0) continue;
    if (S_ISLNK(info.st_mode)) {
      host.root_links.push_back({path, Cat("usr/", name)});
    } else {
      host.root_folders.push_back(path);
    }
  }
  host.of_root = PlacesOfRoot(host);
  ASSIGN_OR_RETURN(host.seccomp, BuildSeccompFilter(TenantPolicy()));
  ASSIGN_OR_RETURN(host.seccomp_with_devices, BuildSeccompFilter(DevicePolicy()));
  return host;
}

}  // namespace auspex::runnerd
