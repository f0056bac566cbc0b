// SPDX-License-Identifier: AGPL-3.0-only
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"
#include "common/harden/harden.h"

namespace auspex {
namespace {

// Rights that newer kernels know; Debian 12's headers stop earlier, and the kernel is asked which it has.
constexpr uint64_t kRefer = uint64_t{1} << 13;     // ABI 2
constexpr uint64_t kTruncate = uint64_t{1} << 14;  // ABI 3

constexpr uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr uint64_t kWrite = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                            LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                            LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                            LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                            LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
// What a rule on a plain file may name.
constexpr uint64_t kFileRights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                 LANDLOCK_ACCESS_FS_EXECUTE | kTruncate;

absl::Status AddRule(int ruleset, const std::string& path, uint64_t rights) {
  UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd) return errno == ENOENT ? absl::OkStatus() : ErrnoStatus(errno, "open", path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "look at", path);
  if (!S_ISDIR(info.st_mode)) rights &= kFileRights;
  landlock_path_beneath_attr rule{};
  rule.allowed_access = rights;
  rule.parent_fd = fd.get();
  if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
    return ErrnoStatus(errno, "allow in landlock", path);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RestrictFiles(const FileRules& rules) {
  const long abi =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) return absl::UnimplementedError("landlock: this kernel does not have it");
  uint64_t write = kWrite;
  if (abi >= 2) write |= kRefer;
  if (abi >= 3) write |= kTruncate;
  landlock_ruleset_attr attributes{};
  attributes.handled_access_fs = kRead | write | LANDLOCK_ACCESS_FS_EXECUTE;
  UniqueFd ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0)));
  if (!ruleset) return ErrnoStatus(errno, "make", "landlock rules");
  for (const std::string& path : rules.read_only)
    RETURN_IF_ERROR(AddRule(ruleset.get(), path, kRead));
  for (const std::string& path : rules.read_write) {
    RETURN_IF_ERROR(AddRule(ruleset.get(), path, kRead | write));
  }
  for (const std::string& path : rules.execute) {
    RETURN_IF_ERROR(AddRule(ruleset.get(), path, kRead | LANDLOCK_ACCESS_FS_EXECUTE));
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ErrnoStatus(errno, "set", "no-new-privileges");
  }
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    return ErrnoStatus(errno, "put in place", "landlock rules");
  }
  return absl::OkStatus();
}

}  // namespace auspex
