// SPDX-License-Identifier: AGPL-3.0-only
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"

namespace auspex {
namespace {

// Deeper than any tree that a size limit lets somebody make in good faith; bounds the recursion and the open descriptors.
constexpr int kMaxDepth = 256;

// Empties the folder `name` in `parent_fd` and removes it. Everything goes by descriptor and without following
// links, so a tree that changes under our hands cannot lead outside.
absl::Status RemoveAt(int parent_fd, const char* name, const std::string& shown, int depth) {
  if (::unlinkat(parent_fd, name, 0) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno != EISDIR && errno != EPERM) return ErrnoStatus(errno, "remove", shown);
  if (depth >= kMaxDepth) {
    return absl::ResourceExhaustedError(Cat("remove ", shown, ": nested too deep"));
  }
  UniqueFd fd(::openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) {
    // A folder that its maker closed to himself: open it up, once.
    if (errno != EACCES || ::fchmodat(parent_fd, name, 0700, 0) != 0) {
      return ErrnoStatus(errno, "open folder", shown);
    }
    fd.Reset(::openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return ErrnoStatus(errno, "open folder", shown);
  }
  // Sealed folders (0555) must be writable before their entries can go.
  (void)::fchmod(fd.get(), 0700);
  const int list_fd = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);
  if (list_fd < 0) return ErrnoStatus(errno, "list", shown);
  DIR* opened = ::fdopendir(list_fd);
  if (opened == nullptr) {
    const int error = errno;
    ::close(list_fd);
    return ErrnoStatus(error, "list", shown);
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> list(opened, ::closedir);
  while (const dirent* entry = ::readdir(list.get())) {
    if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
    RETURN_IF_ERROR(RemoveAt(fd.get(), entry->d_name, Cat(shown, "/", entry->d_name), depth + 1));
  }
  if (::unlinkat(parent_fd, name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, "remove folder", shown);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RemoveTree(const std::string& path) {
  return RemoveAt(AT_FDCWD, path.c_str(), path, 0);
}

}  // namespace auspex
