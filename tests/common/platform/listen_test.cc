// SPDX-License-Identifier: AGPL-3.0-only
// Socket activation: the service manager binds and listens, the daemon takes the descriptor that fits its path.
#include "common/ipc/listen.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <functional>

#include "tests/support/temp_dir.h"

namespace auspex {
namespace {

// Runs `body` in a child that was started as a service manager starts one, with a listening socket at `path` as descriptor 3;
// true when it returned true.
bool Activated(const std::string& path, const std::string& pid, const std::function<bool()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(fd, 4) != 0 || (fd != 3 && ::dup2(fd, 3) != 3)) {
      ::_exit(2);
    }
    ::setenv("LISTEN_PID", pid.empty() ? std::to_string(::getpid()).c_str() : pid.c_str(), 1);
    ::setenv("LISTEN_FDS", "1", 1);
    ::_exit(body() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(SocketActivation, ThePassedSocketOfThePathIsTaken) {
  testing::TempDir folder;
  const std::string path = folder / "request.sock";
  EXPECT_TRUE(Activated(path, "", [&] {
    const absl::StatusOr<Listener> listener = ListenAt(path, -1);
    return listener.ok() && listener->from_systemd && listener->fd.get() == 3;
  }));
}

TEST(SocketActivation, ASocketOfAnotherPathIsNotMistakenForIt) {
  testing::TempDir folder;
  EXPECT_TRUE(Activated(folder / "other.sock", "", [&] {
    const absl::StatusOr<Listener> listener = ListenAt(folder / "request.sock", -1);
    return listener.ok() && !listener->from_systemd;
  }));
}

TEST(SocketActivation, VariablesMeantForAnotherProcessAreIgnored) {
  testing::TempDir folder;
  const std::string path = folder / "request.sock";
  EXPECT_TRUE(Activated(path, "1", [&] {
    const absl::StatusOr<Listener> listener = ListenAt(path, -1);
    // The path is served by a live socket that is not ours, so it is not taken over either.
    return !listener.ok() && absl::IsFailedPrecondition(listener.status());
  }));
}

}  // namespace
}  // namespace auspex
