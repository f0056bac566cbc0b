// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/role_key.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"
#include "common/files/files.h"

namespace auspex {
namespace {

constexpr size_t kKeyOctets = 32;
constexpr std::string_view kSocketSuffix = ".sock";

// Of the opened thing, so that what is looked at is what is used.
absl::Status CheckOwn(int fd, const std::string& path, mode_t type) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return ErrnoStatus(errno, "look at", path);
  if ((info.st_mode & S_IFMT) != type || info.st_uid != ::geteuid() || (info.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(
        Cat(path, ": is not this user's alone; stop the worker and remove it"));
  }
  return absl::OkStatus();
}

// A link in place of the thing is answered as what it is: not ours.
absl::Status OpenFailure(int error, const std::string& path) {
  if (error == ENOENT) return absl::NotFoundError(Cat(path, ": does not exist"));
  if (error == ELOOP || error == ENOTDIR) {
    return absl::FailedPreconditionError(Cat(path, ": is a link or no folder; remove it"));
  }
  return ErrnoStatus(error, "open", path);
}

// O_PATH: a confined client may use the folder without being able to list it.
absl::StatusOr<UniqueFd> OpenFolder(const std::string& folder) {
  UniqueFd fd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return OpenFailure(errno, folder);
  RETURN_IF_ERROR(CheckOwn(fd.get(), folder, S_IFDIR));
  return fd;
}

absl::StatusOr<std::string> ReadKeyIn(int folder_fd, const std::string& path) {
  const UniqueFd fd(::openat(folder_fd, "key", O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return OpenFailure(errno, path);
  RETURN_IF_ERROR(CheckOwn(fd.get(), path, S_IFREG));
  char octets[kKeyOctets + 1];
  const ssize_t got = ::read(fd.get(), octets, sizeof octets);
  if (got < 0) return ErrnoStatus(errno, "read", path);
  if (got != kKeyOctets) {
    return absl::FailedPreconditionError(
        Cat(path, ": is no role key; stop the worker and remove it"));
  }
  return HexEncode(std::string_view(octets, kKeyOctets));
}

// Whole or not at all, and never over one that another process made meanwhile.
absl::Status MakeKeyIn(int folder_fd, const std::string& path) {
  char octets[kKeyOctets];
  if (::getrandom(octets, sizeof octets, 0) != sizeof octets) {
    return ErrnoStatus(errno, "draw random octets for", path);
  }
  static std::atomic<uint64_t> counter{0};
  const std::string temporary = Cat("key.new.", ::getpid(), ".", counter++);
  const UniqueFd fd(::openat(folder_fd, temporary.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return ErrnoStatus(errno, "create", path);
  absl::Status status = WriteAll(fd.get(), std::string_view(octets, sizeof octets), path);
  if (status.ok() && ::fsync(fd.get()) != 0) status = ErrnoStatus(errno, "sync", path);
  if (status.ok() && ::linkat(folder_fd, temporary.c_str(), folder_fd, "key", 0) != 0 &&
      errno != EEXIST) {
    status = ErrnoStatus(errno, "create", path);
  }
  ::unlinkat(folder_fd, temporary.c_str(), 0);
  return status;
}

}  // namespace

std::string RoleFolderOf(std::string_view socket_path) {
  if (socket_path.ends_with(kSocketSuffix)) socket_path.remove_suffix(kSocketSuffix.size());
  return Cat(socket_path, ".role");
}

absl::StatusOr<std::string> ReadRoleKey(std::string_view socket_path) {
  const std::string folder = RoleFolderOf(socket_path);
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFolder(folder));
  return ReadKeyIn(fd.get(), folder + "/key");
}

absl::Status EnsureRoleFolder(std::string_view socket_path) {
  const std::string folder = RoleFolderOf(socket_path);
  // The folder of the socket first: made as a parent it would be open to others.
  RETURN_IF_ERROR(MakePrivateDirectory(folder.substr(0, folder.rfind('/'))));
  RETURN_IF_ERROR(MakePrivateDirectory(folder));
  return OpenFolder(folder).status();
}

absl::StatusOr<std::string> EnsureRoleKey(std::string_view socket_path) {
  absl::StatusOr<std::string> key = ReadRoleKey(socket_path);
  if (!absl::IsNotFound(key.status())) return key;
  RETURN_IF_ERROR(EnsureRoleFolder(socket_path));
  const std::string folder = RoleFolderOf(socket_path);
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFolder(folder));
  RETURN_IF_ERROR(MakeKeyIn(fd.get(), folder + "/key"));
  return ReadKeyIn(fd.get(), folder + "/key");
}

}  // namespace auspex
