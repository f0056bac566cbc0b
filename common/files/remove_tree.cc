// SPDX-License-Identifier: AGPL-3.0-only
#include <dirent.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"

namespace auspex {
namespace {

// Bounds the recursion and the open descriptors. What lies deeper is first brought up to the tree's own root: nobody makes such
// a tree in good faith, and one that could not be removed would stay for ever.
constexpr int kMaxDepth = 128;

// Moves the folder `name` in `parent_fd` to `root_fd`, under a name that whoever made the tree cannot have taken.
absl::Status BringUp(int parent_fd, const char* name, const std::string& shown, int root_fd) {
  uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != sizeof number)
    return ErrnoStatus(errno, "name", shown);
  char fresh[32];
  std::snprintf(fresh, sizeof fresh, ".deep-%016llx", static_cast<unsigned long long>(number));
  // A folder that changes its parent must be writable itself. It is no link: unlink said so.
  if (::fchmodat(parent_fd, name, 0700, 0) != 0 ||
      ::renameat(parent_fd, name, root_fd, fresh) != 0) {
    return ErrnoStatus(errno, "move", shown);
  }
  return absl::OkStatus();
}

// Empties the folder `name` in `parent_fd` and removes it. Everything goes by descriptor and without following
// links, so a tree that changes under our hands cannot lead outside; but for the mode of a folder that is closed or deep, which goes by
// name: nobody else writes to a tree by then. `root_fd`: the tree's root; -1 for the root itself.
absl::Status RemoveAt(int parent_fd, const char* name, const std::string& shown, int depth,
                      int root_fd) {
  if (::unlinkat(parent_fd, name, 0) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno != EISDIR && errno != EPERM) return ErrnoStatus(errno, "remove", shown);
  if (depth >= kMaxDepth) return BringUp(parent_fd, name, shown, root_fd);
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
  for (;;) {
    bool any = false;
    while (const dirent* entry = ::readdir(list.get())) {
      if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
      any = true;
      RETURN_IF_ERROR(RemoveAt(fd.get(), entry->d_name, Cat(shown, "/", entry->d_name), depth + 1,
                               root_fd < 0 ? fd.get() : root_fd));
    }
    if (::unlinkat(parent_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return absl::OkStatus();
    // Something was brought up here after the reading had passed by.
    if (root_fd >= 0 || errno != ENOTEMPTY || !any)
      return ErrnoStatus(errno, "remove folder", shown);
    ::rewinddir(list.get());
  }
}

}  // namespace

absl::Status RemoveTree(const std::string& path) {
  return RemoveAt(AT_FDCWD, path.c_str(), path, 0, -1);
}

}  // namespace auspex
