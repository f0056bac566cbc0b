// SPDX-License-Identifier: AGPL-3.0-only
// keyd's list of system calls put in force in a child of the test: what keyd needs goes on, a denied call is the end of the whole
// process by SIGSYS, from whichever thread it comes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <thread>

#include "common/base/sanitized.h"
#include "common/harden/harden.h"
#include "keyd/syscalls.h"
#include "netd/syscalls.h"
#include "tests/support/skip.h"

namespace auspex::keyd {
namespace {

struct End {
  int status = 0;
  std::string said;  // on standard error
  bool Exited(int code) const { return WIFEXITED(status) && WEXITSTATUS(status) == code; }
  int signal() const { return WIFSIGNALED(status) ? WTERMSIG(status) : 0; }
};

constexpr int kUnharmed = 7, kNoFilter = 8;

// Runs `body` in a child under the list.
End UnderTheList(const std::function<void()>& body) {
  int pipe_ends[2];
  EXPECT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::dup2(pipe_ends[1], 2);
    if (!NoNewPrivileges().ok() || !KeepOnly(KeydCalls()).ok()) ::_exit(kNoFilter);
    body();
    ::_exit(kUnharmed);
  }
  ::close(pipe_ends[1]);
  End end;
  char buffer[512];
  for (ssize_t n; (n = ::read(pipe_ends[0], buffer, sizeof buffer)) > 0;) {
    end.said.append(buffer, static_cast<size_t>(n));
  }
  ::close(pipe_ends[0]);
  ::waitpid(child, &end.status, 0);
  return end;
}

TEST(KeydFilterLive, WhatKeydNeedsGoesOn) {
  AUSPEX_SKIP_UNLESS(!kSanitized, "a build without a sanitizer, which makes calls of its own");
  EXPECT_TRUE(UnderTheList([] {
                std::thread([] { std::string text(1 << 20, 'x'); }).join();
                void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                if (page == MAP_FAILED || ::munmap(page, 4096) != 0) ::_exit(1);
                const int fd = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
                if (fd < 0 || ::write(fd, "x", 1) != 1 || ::close(fd) != 0) ::_exit(2);
              }).Exited(kUnharmed));
}

TEST(KeydFilterLive, EachDeniedCallIsTheEnd) {
  const std::map<std::string, std::function<void()>> attacks = {
      {"a local socket", [] { ::socket(AF_UNIX, SOCK_DGRAM, 0); }},
      {"a message to somebody",
       [] {
         sockaddr_un address{};
         address.sun_family = AF_UNIX;
         ::sendto(0, "x", 1, 0, reinterpret_cast<sockaddr*>(&address), sizeof address);
       }},
      {"an Internet socket", [] { ::socket(AF_INET, SOCK_STREAM, 0); }},
      {"a netlink socket", [] { ::socket(AF_NETLINK, SOCK_RAW, 0); }},
      {"a program", [] { ::execl("/bin/true", "true", nullptr); }},
      {"a process", [] { ::fork(); }},
      {"tracing the parent", [] { ::syscall(SYS_ptrace, 16, ::getppid(), 0, 0); }},
      {"reading another's memory",
       [] {
         char octet;
         iovec local{&octet, 1}, remote{&octet, 1};
         ::process_vm_readv(1, &local, 1, &remote, 1, 0);
       }},
      {"taking another's descriptor", [] { ::syscall(SYS_pidfd_getfd, 3, 0, 0); }},
      {"signalling another", [] { ::kill(::getppid(), 0); }},
      {"code from data",
       [] { ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }},
      {"data into code",
       [] {
         void* page =
             ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
         ::mprotect(page, 4096, PROT_READ | PROT_EXEC);
       }},
      {"dumpable again", [] { ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); }},
      {"a core limit again",
       [] {
         const rlimit much{1, 1};
         ::setrlimit(RLIMIT_CORE, &much);
       }},
      {"calling somebody",
       [] {
         sockaddr_un address{};
         address.sun_family = AF_UNIX;
         ::connect(0, reinterpret_cast<sockaddr*>(&address), sizeof address);
       }},
      {"io_uring", [] { ::syscall(SYS_io_uring_setup, 1, nullptr); }},
      {"a namespace", [] { ::syscall(SYS_unshare, 0x10000000); }},
      {"another user", [] { ::syscall(SYS_setuid, 0); }},
      {"a number that is no call", [] { ::syscall(1000); }},
  };
  for (const auto& [name, attack] : attacks) {
    EXPECT_EQ(UnderTheList(attack).signal(), SIGSYS) << name;
    // From another thread it is the end of the whole process too.
    EXPECT_EQ(UnderTheList([&attack] { std::thread(attack).join(); }).signal(), SIGSYS) << name;
  }
}

TEST(KeydFilterLive, AThreadMadeBeforeIsBoundToo) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    std::thread waiting([&] {
      char octet;
      if (::read(pipe_ends[0], &octet, 1) == 1) ::socket(AF_INET, SOCK_STREAM, 0);
    });
    if (!NoNewPrivileges().ok() || !KeepOnly(KeydCalls()).ok()) ::_exit(kNoFilter);
    if (::write(pipe_ends[1], "x", 1) != 1) ::_exit(1);
    waiting.join();
    ::_exit(kUnharmed);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) << status;
}

// A defect that aborts must still say so: the filter is not what ends it, and its words come out.
// What a kernel, or a filter that is there already, only says: the list is not taken at its word.
TEST(RefusingFilterLive, AListThatWasTakenAndIsNotInForceIsNoticed) {
  AUSPEX_SKIP_UNLESS(!kSanitized, "a build without a sanitizer, which makes calls of its own");
  constexpr int kNoticed = 9;
  for (const bool refuses_already : {false, true}) {
    const pid_t child = ::fork();
    if (child == 0) {
      // seccomp() says that it did, and unknown calls are refused as our lists refuse.
      const auto unknown = static_cast<unsigned>(refuses_already ? EPERM : ENOSYS);
      sock_filter program[] = {
          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 1),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1000, 0, 1),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | unknown),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      };
      // libseccomp asks the kernel once what it can do, and is to be told the truth.
      if (!Compile(NetdCalls(), ::getpid()).ok()) ::_exit(kNoFilter);
      const sock_fprog filter{std::size(program), program};
      if (!NoNewPrivileges().ok() || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        ::_exit(kNoFilter);
      }
      const absl::Status kept = KeepOnly(NetdCalls());
      std::fputs(std::string(kept.message()).c_str(), stderr);
      ::_exit(kept.message().find("not in force") != kept.message().npos ? kNoticed : kUnharmed);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == kNoticed)
        << refuses_already << " " << status;
  }
}

TEST(KeydFilterLive, AnAbortIsStillReadable) {
  AUSPEX_SKIP_UNLESS(!kSanitized, "a build without a sanitizer, which makes calls of its own");
  EXPECT_EQ(UnderTheList([] { std::abort(); }).signal(), SIGABRT);
  const End thrown = UnderTheList([] { std::thread([] { throw 1; }).join(); });
  EXPECT_EQ(thrown.signal(), SIGABRT);
  EXPECT_NE(thrown.said.find("terminate"), std::string::npos) << thrown.said;
  const End freed = UnderTheList([] {
    // Twice the same block, told through a pointer that the compiler cannot follow.
    void* volatile block = std::malloc(32);
    std::free(block);
    std::free(block);
  });
  EXPECT_EQ(freed.signal(), SIGABRT);
  EXPECT_NE(freed.said.find("free"), std::string::npos) << freed.said;
}

}  // namespace
}  // namespace auspex::keyd
