// SPDX-License-Identifier: AGPL-3.0-only
// Looks a package folder over: what is in it, whether that is all covered by the package digest,
// and the digest itself. Nothing is followed, opened by a name that could be a link, or trusted.
// Functions only read; any thread.
#ifndef AUSPEX_RUNNERD_PACKAGE_TREE_H_
#define AUSPEX_RUNNERD_PACKAGE_TREE_H_

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/ids/ids.h"
#include "runnerd/unpack/unpack.h"

namespace auspex::runnerd {

struct PackageTree {
  struct File {
    std::string path;  // relative
    struct stat info;
  };
  std::vector<File> files;
  std::vector<std::string> folders;  // relative; the root is not named
  // SHA-256 over every entry's name, identity, size, mode and times of change: equal fingerprints
  // mean that nobody wrote to the tree since (the time of an inode's change cannot be set).
  std::string fingerprint;
};

// NOT_FOUND when the folder is missing; INVALID_ARGUMENT naming the member that is no regular file
// or folder, has a set-id mode, is compiled Python (which the digest leaves out although an
// interpreter would run it), or lies beyond a limit.
absl::StatusOr<PackageTree> ListPackage(const std::string& folder, const UnpackLimits& limits = {});

// The digest of 4.5, from the content of every listed file. FAILED_PRECONDITION when a file changed
// since it was listed.
absl::StatusOr<Sha256Hex> DigestPackage(const std::string& folder, const PackageTree& tree);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_PACKAGE_TREE_H_
