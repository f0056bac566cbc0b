// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/shown.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"
#include "runnerd/host_places.h"
#include "runnerd/init/protocol.h"
#include "runnerd/sandbox_arguments.h"

namespace auspex::runnerd {
namespace {

using Kind = ShownPlace::Kind;

constexpr uid_t kUnmapped = 65534;  // what the kernel shows for a user that a namespace has not

// The first user namespace maps all numbers; another, those of its one line or two.
bool AllUsersAreMapped() {
  const absl::StatusOr<std::string> map = ReadFile("/proc/self/uid_map", 4096);
  return map.ok() && map->find("4294967295") != std::string::npos;
}

absl::Status Check(const ShownPlace& place, const struct stat& info,
                   const FileIdentities& of_root) {
  const auto refused = [&place](std::string_view why) {
    return absl::FailedPreconditionError(
        Cat("layer read-only-files: ", place.source, " is not shown to sandboxes: ", why));
  };
  if (place.kind == Kind::kFolder ? !S_ISDIR(info.st_mode) : !S_ISREG(info.st_mode))
    return refused(place.kind == Kind::kFolder ? "it is no folder" : "it is no regular file");
  if (info.st_mode & S_IWOTH) return refused("everybody may write to it");
  if (info.st_uid == geteuid()) return absl::OkStatus();
  if (info.st_uid == kUnmapped && !AllUsersAreMapped()) {
    if (of_root.contains({info.st_dev, info.st_ino})) return absl::OkStatus();
    return refused("it belongs to another user, or is not what was there when runnerd started");
  }
  if (info.st_uid == 0) return absl::OkStatus();
  return refused(Cat("it belongs to user ", info.st_uid));
}

}  // namespace

std::vector<ShownPlace> ShownPlaces(const SandboxHost& host, const SandboxSpec& spec) {
  std::vector<ShownPlace> places;
  places.push_back({host.etc_folder, "/etc", Kind::kFolder,
                    "made by runnerd: names of two users, no host name, no machine id; leftovers "
                    "are known by it"});
  if (spec.system_files) {
    places.push_back(
        {"/usr", "/usr", Kind::kFolder, "interpreters and libraries of the distribution"});
    if (kHasSystemTree) {
      places.push_back({kSystemTree, kSystemTree, Kind::kFolder, "where this host keeps them"});
    }
    for (const std::string& folder : host.root_folders) {
      places.push_back(
          {folder, folder, Kind::kFolder, "a part of /usr on hosts that keep it apart"});
    }
    if (host.bind_ld_cache) {
      places.push_back({"/etc/ld.so.cache", "/etc/ld.so.cache", Kind::kFile,
                        "where the loader finds libraries"});
    }
    if (host.bind_alternatives) {
      places.push_back({"/etc/alternatives", "/etc/alternatives", Kind::kFolder,
                        "what names like awk or java lead to"});
    }
  }
  places.push_back(
      {host.unit_init, unit_init::kInitPath, Kind::kFile, "the sandbox's first process"});
  if (spec.package_fd >= 0) {
    places.push_back({"the package", unit_init::kPackageDir, Kind::kFolder,
                      "the unit's package, by the descriptor that it was verified through",
                      spec.package_fd});
  }
  if (spec.unpacker) {
    places.push_back({host.unpack, unit_init::kUnpackPath, Kind::kFile,
                      "the program that takes an archive apart"});
  }
  return places;
}

FileIdentities PlacesOfRoot(const SandboxHost& host) {
  FileIdentities found;
  // Whoever is not mapped shows as another number, so 0 is root wherever there is one.
  SandboxSpec all;
  all.unpacker = true;
  for (const ShownPlace& place : ShownPlaces(host, all)) {
    struct stat info {};
    if (lstat(place.source.c_str(), &info) == 0 && info.st_uid == 0)
      found.insert({info.st_dev, info.st_ino});
  }
  return found;
}

absl::StatusOr<std::vector<UniqueFd>> OpenPlaces(const std::vector<ShownPlace>& places,
                                                 const FileIdentities& of_root) {
  std::vector<UniqueFd> opened;
  for (const ShownPlace& place : places) {
    UniqueFd fd(place.held >= 0 ? fcntl(place.held, F_DUPFD_CLOEXEC, 0)
                                : open(place.source.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat info {};
    if (!fd || fstat(fd.get(), &info) != 0) {
      return absl::FailedPreconditionError(
          Cat("layer read-only-files: ",
              std::string(ErrnoStatus(errno, "open", place.source).message())));
    }
    RETURN_IF_ERROR(Check(place, info, of_root));
    opened.push_back(std::move(fd));
  }
  return opened;
}

}  // namespace auspex::runnerd
