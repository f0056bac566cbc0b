// SPDX-License-Identifier: AGPL-3.0-only
// Looks a package folder over: what is in it, whether that is all covered by the package digest,
// and the digest itself. The folder is given by a descriptor, and everything in it is reached from
// there without following a link, so that what was checked is what that descriptor shows. Functions
// only read; any thread.
#ifndef AUSPEX_RUNNERD_PACKAGE_TREE_H_
#define AUSPEX_RUNNERD_PACKAGE_TREE_H_

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"
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
  // What it takes on the disk: of each entry the larger of its size and of its blocks.
  uint64_t disk_octets = 0;
  // Why somebody else than root and this process's user may change what is in it, with the member's
  // name and what to do; empty: nobody may. In a view root counts as somebody else. Access lists show
  // in the mode of the group.
  std::string changeable;
  // SHA-256 over every entry's name, identity, size, mode and times of change: equal fingerprints
  // mean that nobody wrote to the tree since (the time of an inode's change cannot be set), unless in
  // the same tick of the kernel's clock as the change before (4 ms on Debian).
  std::string fingerprint;
};

// The folder, for reading. Its last component may not be a link. NOT_FOUND when it is missing.
absl::StatusOr<UniqueFd> OpenPackage(const std::string& path);

// A file of the package; invalid, with errno, when the path leads through a link or out of the
// folder.
UniqueFd OpenInPackage(int folder, const std::string& path);

// The content of a regular file of the package. NOT_FOUND when there is none; RESOURCE_EXHAUSTED
// above `max_octets`.
absl::StatusOr<std::string> ReadInPackage(int folder, const std::string& path, uint64_t max_octets);

// INVALID_ARGUMENT names the member that could change what runs without a change of the digest: one
// that is no regular file or folder, has another name elsewhere (hard link), a set-id or sticky
// mode, is compiled Python, is a folder without a file; or the member that lies beyond a limit.
absl::StatusOr<PackageTree> ListPackage(int folder, const UnpackLimits& limits = {});

// The digest of 4.5, from the content of every listed file. FAILED_PRECONDITION when a file changed
// since it was listed; INVALID_ARGUMENT for a file with extended attributes of its user or with
// capabilities, which the digest does not cover either.
absl::StatusOr<Sha256Hex> DigestPackage(int folder, const PackageTree& tree);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_PACKAGE_TREE_H_
