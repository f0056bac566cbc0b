// SPDX-License-Identifier: AGPL-3.0-only
// Each restriction is put on in a child process, which then tries what it forbids.
#include "common/harden/harden.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <functional>
#include <thread>

#include "common/files/files.h"
#include "tests/support/temp_dir.h"

namespace auspex {
namespace {

// Runs `body` in a child; true when it returned true.
bool InChild(const std::function<bool()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body() ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(HardenTest, NoDumps) {
  EXPECT_TRUE(InChild([] {
    rlimit limit{};
    return DisableDumps().ok() && ::prctl(PR_GET_DUMPABLE) == 0 &&
           ::getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0;
  }));
}

TEST(HardenTest, OnlyUnixSocketsInEveryThread) {
  EXPECT_TRUE(InChild([] {
    int before_and_after = 0;
    bool restricted = false;
    if (!OnlyUnixSockets().ok()) return false;
    std::thread([&] {
      restricted = ::socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EAFNOSUPPORT;
      before_and_after = ::socket(AF_UNIX, SOCK_STREAM, 0);
    }).join();
    return restricted && before_and_after >= 0 && ::socket(AF_INET6, SOCK_DGRAM, 0) < 0 &&
           ::socket(AF_NETLINK, SOCK_RAW, 0) < 0;
  }));
}

TEST(HardenTest, AThreadMadeBeforeIsRestrictedToo) {
  EXPECT_TRUE(InChild([] {
    int go[2], answer = -1;
    if (::pipe(go) != 0) return false;
    std::thread waiting([&] {
      char octet;
      if (::read(go[0], &octet, 1) == 1) answer = ::socket(AF_INET, SOCK_STREAM, 0);
    });
    const bool ok = OnlyUnixSockets().ok();
    const bool told = ::write(go[1], "x", 1) == 1;
    waiting.join();
    return ok && told && answer < 0;
  }));
}

TEST(HardenTest, NoExec) {
  EXPECT_TRUE(InChild([] {
    if (!DenyExec().ok()) return false;
    ::execl("/bin/true", "true", nullptr);
    return errno == EPERM;
  }));
}

TEST(HardenTest, ThreadsButNoProcesses) {
  EXPECT_TRUE(InChild([] {
    if (!DenyProcesses().ok()) return false;
    bool ran = false;
    std::thread([&] { ran = ::fork() < 0 && errno == EPERM; }).join();
#ifdef SYS_vfork
    if (::syscall(SYS_vfork) >= 0 || errno != EPERM) return false;
#endif
    return ran && ::fork() < 0 && errno == EPERM;
  }));
}

TEST(HardenTest, NoConnectInEveryThread) {
  EXPECT_TRUE(InChild([] {
    const sockaddr nobody{AF_UNIX, "x"};
    const auto refused_by = [&nobody] {
      const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
      return ::connect(fd, &nobody, sizeof nobody) == 0 ? 0 : errno;
    };
    if (refused_by() != ENOENT || !DenyConnect().ok()) return false;
    int elsewhere = 0;
    std::thread([&] { elsewhere = refused_by(); }).join();
    return refused_by() == EPERM && elsewhere == EPERM;
  }));
}

TEST(HardenTest, FilesOutsideTheRulesAreClosed) {
  testing::TempDir folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "readable", "r", 0600).ok());
  ASSERT_TRUE(MakePrivateDirectory(folder / "own").ok());
  EXPECT_TRUE(InChild([&] {
    if (!RestrictFiles({.read_only = {folder / "readable", "/does/not/exist"},
                        .read_write = {folder / "own"}})
             .ok()) {
      return false;
    }
    return ReadFile(folder / "readable", 10).ok() &&
           ::open((folder / "readable").c_str(), O_WRONLY) < 0 &&
           WriteFileAtomically(folder / "own/f", "x", 0600).ok() &&
           ::open("/etc/passwd", O_RDONLY) < 0 &&
           !WriteFileAtomically(folder / "new", "x", 0600).ok();
  }));
}

}  // namespace
}  // namespace auspex
