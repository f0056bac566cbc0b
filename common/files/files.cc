// SPDX-License-Identifier: AGPL-3.0-only
#include "common/files/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"

namespace auspex {
namespace {

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status MakeParents(const std::string& path) {
  for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) {
      return ErrnoStatus(errno, "make folder", part);
    }
  }
  return absl::OkStatus();
}

// Removes a temporary file unless the rename took it.
struct Unlinker {
  std::string path;
  ~Unlinker() {
    if (!path.empty()) ::unlink(path.c_str());
  }
};

}  // namespace

absl::Status MakePrivateDirectory(const std::string& path) {
  RETURN_IF_ERROR(MakeParents(path));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, "make folder", path);
  }
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return ErrnoStatus(errno, "look at", path);
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(Cat(path, ": is not a folder"));
  }
  if (info.st_uid != ::geteuid()) {
    return absl::FailedPreconditionError(Cat(path, ": belongs to user ", info.st_uid,
                                             ", not to user ", ::geteuid(),
                                             "; remove it or run: chown ", ::geteuid(), " ", path));
  }
  if ((info.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(
        Cat(path, ": is open to other users; run: chmod 700 ", path));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t max_octets, Links links) {
  const int no_follow = links == Links::kRefuse ? O_NOFOLLOW : 0;
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | no_follow | O_NONBLOCK | O_NOCTTY));
  if (!fd) return ErrnoStatus(errno, "open", path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "look at", path);
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(Cat(path, ": is not a regular file"));
  }
  std::string content;
  char buffer[64 * 1024];
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, "read", path);
    }
    if (got == 0) return content;
    if (content.size() + static_cast<size_t>(got) > max_octets) {
      return absl::ResourceExhaustedError(Cat(path, ": is larger than ", max_octets, " octets"));
    }
    content.append(buffer, static_cast<size_t>(got));
  }
}

absl::Status WriteAll(int fd, std::string_view octets, std::string_view name_for_errors) {
  while (!octets.empty()) {
    const ssize_t written = ::write(fd, octets.data(), octets.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, "write", name_for_errors);
    }
    octets.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status SyncDirectory(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return ErrnoStatus(errno, "open folder", path);
  if (::fsync(fd.get()) != 0) return ErrnoStatus(errno, "sync folder", path);
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::string& path, std::string_view content, mode_t mode) {
  static std::atomic<uint64_t> counter{0};
  Unlinker temporary{Cat(path, ".new.", ::getpid(), ".", counter++)};
  UniqueFd fd(
      ::open(temporary.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) {
    const int error = errno;
    temporary.path.clear();
    return ErrnoStatus(error, "create", path);
  }
  RETURN_IF_ERROR(WriteAll(fd.get(), content, path));
  if (::fchmod(fd.get(), mode) != 0) return ErrnoStatus(errno, "set the mode of", path);
  if (::fsync(fd.get()) != 0) return ErrnoStatus(errno, "sync", path);
  if (::rename(temporary.path.c_str(), path.c_str()) != 0) {
    return ErrnoStatus(errno, "replace", path);
  }
  temporary.path.clear();
  return SyncDirectory(ParentOf(path));
}

absl::StatusOr<UniqueFd> LockInstance(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return ErrnoStatus(errno, "open", path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoStatus(errno, "lock", path);
    char pid[16] = {};
    const ssize_t got = ::pread(fd.get(), pid, sizeof pid - 1, 0);
    return absl::FailedPreconditionError(
        Cat(path, ": is in use by process ", got > 0 ? std::string_view(pid) : "(unknown)"));
  }
  const std::string pid = Cat(::getpid());
  if (::ftruncate(fd.get(), 0) != 0 ||
      ::pwrite(fd.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return ErrnoStatus(errno, "write", path);
  }
  return fd;
}

}  // namespace auspex
