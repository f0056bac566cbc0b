// SPDX-License-Identifier: AGPL-3.0-only
// What is not here, and what that denies to a daemon that adds no such row: execve (no program is ever started), fork (clone is
// for threads alone), socket, connect, bind and listen (its sockets are open already), ptrace, process_vm_readv, pidfd_getfd (no
// other process is looked into), kill (no other process is signalled), seccomp, personality, setuid (nothing about itself is
// changed any more), memory that can be executed.
//
// Which paths the file calls reach is Landlock's to say.
#include "common/harden/serving_calls.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

namespace auspex {
namespace {

// Not in every libc's headers; the numbers are the kernel's ABI.
constexpr uint64_t kSolTcp = 6, kTcpInq = 36;

// How glibc makes a thread: shares everything, belongs to the process, and names no namespace.
constexpr uint64_t kThread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SIGHAND |
                             CLONE_THREAD | CLONE_SETTLS | CLONE_PARENT_SETTID |
                             CLONE_CHILD_CLEARTID;

}  // namespace

AllowedCall MadviseOf(uint64_t advice, std::string_view needed_by) {
  return {"madvise", {{2, kInt, advice}}, needed_by};
}
AllowedCall FcntlOf(uint64_t command, std::string_view needed_by) {
  return {"fcntl", {{1, kInt, command}}, needed_by};
}
AllowedCall SocketOf(uint64_t family, std::string_view needed_by) {
  return {"socket", {{0, kInt, family}}, needed_by};
}
AllowedCall GetsockoptOf(uint64_t level, uint64_t option, std::string_view needed_by) {
  return {"getsockopt", {{1, kInt, level}, {2, kInt, option}}, needed_by};
}
AllowedCall SetsockoptOf(uint64_t level, uint64_t option, std::string_view needed_by) {
  return {"setsockopt", {{1, kInt, level}, {2, kInt, option}}, needed_by};
}

AllowList ServingCalls() {
  AllowList list;
  list.allowed = {
      // The open sockets, and gRPC's pollers.
      {"accept4", {}, "RoleServer: a peer connects"},
      {"recvmsg", {}, "gRPC: a peer's octets"},
      {"sendmsg", {}, "gRPC: the answer"},
      {"shutdown", {}, "gRPC: ends a connection"},
      {"getsockname", {}, "gRPC: takes over a connection's descriptor"},
      GetsockoptOf(SOL_SOCKET, SO_PEERCRED, "PeerOf: who connected"),
      GetsockoptOf(SOL_SOCKET, SO_PEERGROUPS, "PeerOf: the groups of who connected"),
      GetsockoptOf(SOL_SOCKET, SO_ERROR, "gRPC: why a connection ended"),
      SetsockoptOf(kSolTcp, kTcpInq,
                   "gRPC: asks every connection for it, in vain on a Unix socket"),
      {"sendto",
       {{4, kWide, 0}},
       "RoleDoor: lets a peer in or not; Daemon: tells the service manager; no address, so to no "
       "other"},
      {"recvfrom", {}, "RoleDoor: the role's key"},
      {"eventfd2", {}, "gRPC: wakes a poller"},
      {"poll", {}, "RoleServer and Daemon: wait for a peer, a signal, the end"},
      {"ppoll", {}, "the same, where there is no poll"},

      // Files and descriptors.
      {"openat", {}, "C library, gRPC's look at the processors"},
      {"close", {}, "every descriptor's end"},
      {"read", {}, "files, signal and event descriptors"},
      {"write", {}, "log, event descriptors"},
      {"writev", {}, "C library: its last words before it aborts"},
      {"lseek", {}, "C library: the end of a stream that was not read to its end"},
      {"newfstatat", {}, "RoleServer: is a descriptor still that connection; sizes of files"},
      {"fstat", {}, "the same"},
      {"unlink", {}, "sockets at the end"},
      {"unlinkat", {}, "the same"},
      FcntlOf(F_DUPFD_CLOEXEC, "RoleServer: numbers of connections rotate"),
      FcntlOf(F_GETFL, "C library: opens a folder by its descriptor"),

      // Memory. Never executable.
      {"brk", {}, "allocator"},
      {"mmap", {{2, PROT_EXEC, 0}}, "allocator, stacks of threads"},
      {"mprotect", {{2, PROT_EXEC, 0}}, "allocator, stacks of threads"},
      {"munmap", {}, "the same"},
      {"mremap", {}, "allocator: a large block grows"},
      MadviseOf(MADV_DONTNEED, "allocator, stacks, pages of the start"),
      MadviseOf(MADV_FREE, "allocator"),
      MadviseOf(MADV_RANDOM, "pages of the start: what is needed again comes back singly"),
      MadviseOf(MADV_HUGEPAGE, "allocator, when told to by its tunables"),

      // Threads of this process.
      {"clone", {{0, kInt, kThread}}, "gRPC: a thread more or less with the load"},
      {"set_robust_list", {}, "C library: a new thread"},
      {"rseq", {}, "C library: a new thread"},
      {"exit", {}, "a thread's end"},
      {"futex", {}, "every lock"},
      {"sched_yield", {}, "locks that spin first"},
      {"sched_getaffinity", {}, "gRPC: counts processors"},
      {"sched_getparam", {}, "C library: attributes of a new thread"},
      {"sched_getscheduler", {}, "the same"},
      {"prlimit64", {{0, kInt, 0}, {2, kWide, 0}}, "C library: reads a limit of its own"},
      {"prctl", {{0, kInt, PR_SET_NAME}}, "gRPC: names a thread"},
      {"getpid", {}, "log, abort"},
      {"gettid", {}, "log, abort"},
      {"geteuid", {}, "whom a file or socket must belong to"},

      // Time and chance, where the kernel's shared page does not do.
      {"clock_gettime", {}, "times of events, deadlines"},
      {"clock_nanosleep", {}, "gRPC's timers, a pause of the acceptor"},
      {"gettimeofday", {}, "C library"},
      {"time", {}, "C library"},
      {"getrandom", {}, "C library and libsodium: salts, nonces, hash seeds"},
      {"uname", {}, "C library: what kernel this is"},
      {"sysinfo", {}, "C library: memory for a large sort"},

      // Signals to itself, and the end.
      {"rt_sigprocmask", {}, "new threads, abort"},
      {"rt_sigaction", {}, "abort"},
      {"rt_sigreturn", {}, "return from a handler"},
      {"restart_syscall", {}, "goes on waiting after a stop"},
      {"tgkill", {{0, kInt, kOwnPid}}, "abort: SIGABRT to itself"},
      {"exit_group", {}, "the end"},
  };
  list.absent = {
      // Its flags lie in memory, which a filter cannot read.
      {"clone3", "C library: falls back on clone, whose flags are checked above"},
  };
  return list;
}

}  // namespace auspex
