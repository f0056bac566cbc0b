// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/lab/package.h"

#include <unistd.h>

#include <algorithm>
#include <climits>
#include <filesystem>
#include <map>
#include <system_error>

#include "common/archive/archive.h"
#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/crypto/sha256.h"
#include "common/files/files.h"
#include "common/json/reader.h"
#include "common/wire/manifest.h"

namespace auspex::cli::lab {
namespace {

namespace fs = std::filesystem;

constexpr char kManifest[] = "manifest.json";
constexpr size_t kMostFiles = 1000;
constexpr uint64_t kMostOctets = 64ull * 1024 * 1024;

bool IsExecutable(const fs::file_status& status) {
  return (status.permissions() & fs::perms::owner_exec) != fs::perms::none;
}

absl::StatusOr<std::vector<ArchiveMember>> ReadFolder(const std::string& path) {
  std::vector<ArchiveMember> members;
  uint64_t octets = 0;
  std::error_code error;
  fs::recursive_directory_iterator entry(path, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const fs::file_status status = entry->symlink_status(error);
    if (error) break;
    if (fs::is_directory(status)) continue;
    const std::string name = entry->path().lexically_relative(path).generic_string();
    if (!fs::is_regular_file(status)) {
      return absl::InvalidArgumentError(
          Cat("package ", path, ": ", name, " is neither a file nor a folder"));
    }
    if (name == kManifest) continue;
    RETURN_IF_ERROR(CheckMemberPath(name));
    ASSIGN_OR_RETURN(std::string content, ReadFile(entry->path().string(), kMostOctets));
    octets += content.size();
    if (members.size() >= kMostFiles || octets > kMostOctets) {
      return absl::ResourceExhaustedError(
          Cat("package ", path, ": more than ", kMostFiles, " files or ", kMostOctets, " octets"));
    }
    members.push_back({name, std::move(content), IsExecutable(status)});
  }
  if (error) return ErrnoStatus(error.value(), "read", path);
  if (members.empty())
    return absl::InvalidArgumentError(
        Cat("package ", path, ": there is no file beside the manifest"));
  std::sort(members.begin(), members.end(),
            [](const ArchiveMember& a, const ArchiveMember& b) { return a.path < b.path; });
  return members;
}

}  // namespace

absl::StatusOr<PackedExperiment> PackExperiment(const std::string& path) {
  constexpr uint64_t kMostManifestOctets = 1024 * 1024;
  ASSIGN_OR_RETURN(const std::string text,
                   ReadFile(Cat(path, "/", kManifest), kMostManifestOctets));
  PackedExperiment packed;
  ASSIGN_OR_RETURN(packed.manifest, ReadJson(text));
  ASSIGN_OR_RETURN(const std::vector<ArchiveMember> members, ReadFolder(path));
  std::map<std::string, std::string> digests;
  for (const ArchiveMember& member : members) digests[member.path] = Sha256HexOf(member.content);
  packed.manifest["executor"]["package_sha256"] = PackageDigest(digests).str();
  // What the workers will check is checked here first, where the message reaches the author.
  ASSIGN_OR_RETURN(const Manifest manifest, ParseManifest(text));
  packed.name = manifest.experiment_id.str();
  ASSIGN_OR_RETURN(packed.tar_gz, WriteTarGz(members));
  return packed;
}

absl::StatusOr<std::string> FindExample(const std::string& name) {
  char own[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", own, sizeof own);
  if (length <= 0) return ErrnoStatus(errno, "readlink", "/proc/self/exe");
  const fs::path folder = fs::path(std::string(own, static_cast<size_t>(length))).parent_path();
  std::string places;
  for (const char* below :
       {"../share/examples", "../share/auspex/examples", "../../share/auspex/examples"}) {
    const fs::path place = (folder / below / name).lexically_normal();
    std::error_code error;
    if (fs::is_regular_file(place / kManifest, error)) return place.string();
    places += Cat(places.empty() ? "" : ", ", place.string());
  }
  return absl::NotFoundError(Cat("the package ", name, " is in none of: ", places));
}

}  // namespace auspex::cli::lab
