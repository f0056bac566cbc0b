// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/package_seal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"
#include "common/files/files.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "runnerd/package_tree.h"

namespace auspex::runnerd {
namespace {

constexpr const char* kManifest = "manifest.json";
constexpr const char* kSignature = "manifest.json.sig";
constexpr uint64_t kMaxManifest = 1 << 20;
constexpr timespec kTimes[2] = {{315'532'800, 0}, {315'532'800, 0}};  // 1980-01-01, as in zip files

// The hash covers the value and not the text: two readers could take one text for two values.
absl::Status RewriteManifest(int folder) {
  ASSIGN_OR_RETURN(const std::string text, ReadInPackage(folder, kManifest, kMaxManifest));
  ASSIGN_OR_RETURN(const JsonValue manifest, ReadJson(text));
  if (unlinkat(folder, kManifest, 0) != 0) return ErrnoStatus(errno, "remove", kManifest);
  const UniqueFd file(openat(folder, kManifest, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return ErrnoStatus(errno, "create", kManifest);
  return WriteAll(file.get(), WriteCanonical(manifest), kManifest);
}

absl::Status SealMember(int folder, const std::string& path) {
  const UniqueFd member = OpenInPackage(folder, path);
  if (!member || fchmod(member.get(), 0555) != 0 || futimens(member.get(), kTimes) != 0)
    return ErrnoStatus(errno, "seal", path);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<uint64_t> SealPackage(int folder) {
  RETURN_IF_ERROR(RewriteManifest(folder));
  struct stat info;
  if (fstatat(folder, kSignature, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode) &&
      unlinkat(folder, kSignature, 0) != 0) {
    return ErrnoStatus(errno, "remove", kSignature);
  }
  ASSIGN_OR_RETURN(PackageTree tree, ListPackage(folder));
  for (const PackageTree::File& file : tree.files) RETURN_IF_ERROR(SealMember(folder, file.path));
  for (const std::string& inner : tree.folders) RETURN_IF_ERROR(SealMember(folder, inner));
  // A folder must be writable by its owner to be renamed to another parent, but this one keeps its
  // parent.
  if (fchmod(folder, 0555) != 0 || futimens(folder, kTimes) != 0 || syncfs(folder) != 0)
    return ErrnoStatus(errno, "seal", "package");
  // Blocks are only given out when the file system writes.
  ASSIGN_OR_RETURN(tree, ListPackage(folder));
  return tree.disk_octets;
}

}  // namespace auspex::runnerd
