// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/listen.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/ipc/peer.h"

namespace auspex {
namespace {

constexpr int kFirstSystemdFd = 3;  // SD_LISTEN_FDS_START
constexpr int kMostPassed = 64;

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return absl::InvalidArgumentError(Cat(path, ": too long for a Unix socket"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// How many sockets were passed. LISTEN_PID guards against variables meant for a parent.
int PassedCount() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  if (pid == nullptr || count == nullptr || std::atol(pid) != ::getpid()) return 0;
  return std::clamp(std::atoi(count), 0, kMostPassed);
}

// Finds the passed descriptor that is bound to `path`.
int PassedBySystemd(const std::string& path) {
  const int last = kFirstSystemdFd + PassedCount();
  for (int fd = kFirstSystemdFd; fd < last; ++fd) {
    sockaddr_un bound{};
    socklen_t size = sizeof bound;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) == 0 &&
        bound.sun_family == AF_UNIX && path == bound.sun_path) {
      ::fcntl(fd, F_SETFD, FD_CLOEXEC);
      return fd;
    }
  }
  return -1;
}

}  // namespace

bool SocketsWerePassed() { return PassedCount() > 0; }

absl::StatusOr<Listener> ListenAt(const std::string& path, long group) {
  if (const int passed = PassedBySystemd(path); passed >= 0) {
    return Listener{UniqueFd(passed), true};
  }
  absl::StatusOr<sockaddr_un> address = AddressOf(path);
  if (!address.ok()) return address.status();
  const auto* bound = reinterpret_cast<const sockaddr*>(&*address);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return ErrnoStatus(errno, "make a socket for", path);
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode)) {
      return absl::FailedPreconditionError(Cat(path, ": exists and is not a socket"));
    }
    UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (probe && ::connect(probe.get(), bound, sizeof *address) == 0) {
      const absl::StatusOr<Peer> server = PeerOf(probe.get());
      return absl::FailedPreconditionError(
          Cat(path, ": is served by process ", server.ok() ? server->pid : 0));
    }
    if (::unlink(path.c_str()) != 0) return ErrnoStatus(errno, "remove the stale socket", path);
  }
  // The mode holds from the first moment: bind honours the umask, a later chmod would leave a gap.
  const mode_t old_mask = ::umask(group >= 0 ? 0117 : 0177);
  const int bind_result = ::bind(fd.get(), bound, sizeof *address);
  const int bind_error = errno;
  ::umask(old_mask);
  if (bind_result != 0) return ErrnoStatus(bind_error, "bind", path);
  if (group >= 0 &&
      ::lchown(path.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(group)) != 0) {
    return ErrnoStatus(errno, "give to its group", path);
  }
  if (::listen(fd.get(), 64) != 0) return ErrnoStatus(errno, "listen on", path);
  return Listener{std::move(fd), false};
}

}  // namespace auspex
