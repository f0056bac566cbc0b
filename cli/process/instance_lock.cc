// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/process/instance_lock.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>

#include "common/base/cat.h"
#include "common/base/errno_status.h"

namespace auspex::cli {
namespace {

constexpr int kStepMs = 20;

struct flock WholeFile() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

// The holder writes its number after it has the lock, so a reader may come a moment too early.
pid_t NumberIn(int fd) {
  char text[24];
  const ssize_t got = pread(fd, text, sizeof text, 0);
  if (got <= 0) return -1;
  pid_t pid = -1;
  std::from_chars(text, text + got, pid);
  return pid;
}

}  // namespace

absl::StatusOr<UniqueFd> TakeLock(const std::string& path, int timeout_ms) {
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return ErrnoStatus(errno, "open", path);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  for (;;) {
    struct flock lock = WholeFile();
    if (fcntl(fd.get(), F_OFD_SETLK, &lock) == 0) break;
    if (errno != EAGAIN && errno != EACCES && errno != EINTR)
      return ErrnoStatus(errno, "lock", path);
    if (std::chrono::steady_clock::now() >= deadline) {
      return absl::FailedPreconditionError(Cat(path, " is held by process ", NumberIn(fd.get())));
    }
    poll(nullptr, 0, kStepMs);
  }
  const std::string number = Cat(getpid(), "\n");
  if (ftruncate(fd.get(), 0) != 0 ||
      pwrite(fd.get(), number.data(), number.size(), 0) != static_cast<ssize_t>(number.size())) {
    return ErrnoStatus(errno, "write", path);
  }
  return fd;
}

pid_t HolderOf(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return 0;
  struct flock lock = WholeFile();
  if (fcntl(fd.get(), F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return 0;
  return NumberIn(fd.get());
}

}  // namespace auspex::cli
