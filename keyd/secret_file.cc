// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/secret_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"
#include "common/files/files.h"

namespace auspex::keyd {
namespace {

constexpr off_t kMaxOverwritten = 64 * 1024;

// Fills `content` until the end of `fd`. `wait` says whether there is more to come, or why not.
template <typename Wait>
absl::Status ReadToEnd(int fd, const std::string& name, SecretContent& content, Wait wait) {
  for (;;) {
    RETURN_IF_ERROR(wait());
    const std::span<unsigned char> page = content.memory.octets();
    unsigned char one_more;
    const bool full = content.size == page.size();
    const ssize_t got = full ? ::read(fd, &one_more, 1)
                             : ::read(fd, page.data() + content.size, page.size() - content.size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "read", name);
    if (got == 0) return absl::OkStatus();
    if (full) return absl::FailedPreconditionError(Cat(name, ": is larger than 4096 octets"));
    content.size += static_cast<size_t>(got);
  }
}

absl::StatusOr<SecretContent> EmptyPage() {
  ASSIGN_OR_RETURN(SecretMemory memory, SecretMemory::Create(SecretMemory::kMaxOctets));
  return SecretContent{std::move(memory), 0};
}

}  // namespace

bool SomethingAt(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

absl::StatusOr<SecretContent> ReadSecretFile(const std::string& path) {
  const UniqueFd fd(
      ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd) {
    if (errno == ELOOP) return absl::FailedPreconditionError(Cat(path, ": is a link"));
    return ErrnoStatus(errno, "open", path);
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "look at", path);
  if (!S_ISREG(info.st_mode) || info.st_nlink != 1) {
    return absl::FailedPreconditionError(Cat(path, ": is not a regular file of one name"));
  }
  if (info.st_uid != ::geteuid() && info.st_uid != 0) {
    return absl::FailedPreconditionError(
        Cat(path, ": belongs to user ", info.st_uid, ", not to user ", ::geteuid(), " or root"));
  }
  ASSIGN_OR_RETURN(SecretContent content, EmptyPage());
  RETURN_IF_ERROR(ReadToEnd(fd.get(), path, content, [] { return absl::OkStatus(); }));
  return content;
}

absl::StatusOr<SecretContent> ReadSecretPipe(int fd, int timeout_ms) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::milliseconds(timeout_ms);
  const std::string name = Cat("descriptor ", fd);
  ASSIGN_OR_RETURN(SecretContent content, EmptyPage());
  RETURN_IF_ERROR(ReadToEnd(fd, name, content, [&]() -> absl::Status {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    pollfd wait{fd, POLLIN, 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
    if (ready > 0 || (ready < 0 && errno == EINTR)) return absl::OkStatus();
    return absl::DeadlineExceededError(
        Cat(name, ": whoever handed it over neither wrote a passphrase nor closed it"));
  }));
  return content;
}

absl::Status Overwrite(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return ErrnoStatus(errno, "look at", path);
  if (!S_ISREG(info.st_mode) || info.st_size > kMaxOverwritten) return absl::OkStatus();
  RETURN_IF_ERROR(WriteAll(fd, std::string(static_cast<size_t>(info.st_size), '\0'), path));
  if (::fsync(fd) != 0) return ErrnoStatus(errno, "fsync", path);
  return absl::OkStatus();
}

absl::Status OverwriteAndRemove(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? absl::OkStatus() : ErrnoStatus(errno, "look at", path);
  }
  // What has another name elsewhere is not ours to overwrite.
  if (S_ISREG(info.st_mode) && info.st_nlink == 1) {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
    if (fd) RETURN_IF_ERROR(Overwrite(fd.get(), path));
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, "unlink", path);
  if (SomethingAt(path)) return absl::InternalError(Cat(path, ": is still there"));
  return absl::OkStatus();
}

}  // namespace auspex::keyd
