// SPDX-License-Identifier: AGPL-3.0-only
// Read with docs/ARCHITECTURE.md, "What keyd takes away from itself". What is not here and what that denies: execve (no program is
// ever started), fork (clone is for threads alone), connect, bind and listen (keyd calls nobody, its sockets are open already),
// ptrace, process_vm_readv, pidfd_getfd (no other process is looked into), kill (no other process is signalled), seccomp,
// personality, setuid (nothing about itself is changed any more), memory that can be executed.
//
// Which paths the file calls reach is Landlock's to say.
#include "keyd/syscalls.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

namespace auspex::keyd {
namespace {

// Not in every libc's headers; the numbers are the kernel's ABI.
constexpr uint64_t kPeerPidFd = 77;  // SO_PEERPIDFD, Linux 6.5
constexpr uint64_t kSolTcp = 6, kTcpInq = 36;

// How glibc makes a thread: shares everything, belongs to the process, and names no namespace.
constexpr uint64_t kThread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SIGHAND |
                             CLONE_THREAD | CLONE_SETTLS | CLONE_PARENT_SETTID |
                             CLONE_CHILD_CLEARTID;

AllowedCall Advice(uint64_t advice, std::string_view needed_by) {
  return {"madvise", {{2, kInt, advice}}, needed_by};
}
AllowedCall Fcntl(uint64_t command, std::string_view needed_by) {
  return {"fcntl", {{1, kInt, command}}, needed_by};
}
AllowedCall AskSocket(uint64_t option, std::string_view needed_by) {
  return {"getsockopt", {{1, kInt, SOL_SOCKET}, {2, kInt, option}}, needed_by};
}

AllowList MakeList() {
  AllowList list;
  list.allowed = {
      // Serving: the open sockets, and gRPC's pollers.
      {"accept4", {}, "RoleServer: a peer connects"},
      {"recvmsg", {}, "gRPC: a peer's octets"},
      {"sendmsg", {}, "gRPC: the answer"},
      {"shutdown", {}, "gRPC: ends a connection"},
      {"getsockname", {}, "gRPC: takes over a connection's descriptor"},
      {"getpeername", {}, "gRPC: names a connection"},
      AskSocket(SO_PEERCRED, "PeerOf: who connected"),
      AskSocket(SO_PEERGROUPS, "PeerOf: the groups of who connected"),
      AskSocket(kPeerPidFd, "PeerOf: holds on to the process that connected"),
      AskSocket(SO_ERROR, "gRPC: why a connection ended"),
      {"setsockopt",
       {{1, kInt, kSolTcp}, {2, kInt, kTcpInq}},
       "gRPC: asks every connection for it, in vain on a Unix socket"},
      {"socket", {{0, kInt, AF_UNIX}}, "Daemon: tells the service manager, its watchdog included"},
      {"sendto", {}, "Daemon: the same; the key gate: a question; RoleDoor: lets a peer in or not"},
      {"recvfrom", {}, "the key gate: how its helper ended; RoleDoor: the role's key"},
      {"epoll_create1", {}, "gRPC: one set of descriptors a server"},
      {"epoll_ctl", {}, "gRPC: adds a connection"},
      {"epoll_wait", {}, "gRPC: waits"},
      {"epoll_pwait", {}, "gRPC: waits, where there is no epoll_wait"},
      {"eventfd2", {}, "gRPC: wakes a poller"},
      {"poll", {}, "RoleServer and Daemon: wait for a peer, a signal, the end"},
      {"ppoll", {}, "the same, where there is no poll"},

      // Files: the journal, the ledger, the sealed key, the enrolment.
      {"openat", {}, "journal segments, key file, enrolment; gRPC's look at the processors"},
      {"close", {}, "every descriptor's end"},
      {"read",
       {},
       "key file, enrolment, signal and event descriptors, pipes of the key gate's helper"},
      {"readv", {}, "the same"},
      {"pread64", {}, "journal: listing and proofs"},
      {"preadv", {}, "the same"},
      {"write", {}, "log, key file, enrolment, event descriptors, pipes of the key gate's helper"},
      {"writev", {}, "the C library's last words before it aborts"},
      {"pwrite64", {}, "journal and ledger"},
      {"pwritev", {}, "journal: a group of records"},
      {"pwritev2", {}, "the same"},
      {"lseek", {}, "reading and writing streams"},
      {"fsync", {}, "key file, folders"},
      {"fdatasync", {}, "journal: a record is durable before its signature leaves"},
      {"sync_file_range", {}, "journal: starts writing early"},
      {"ftruncate", {}, "SecretMemory, ledger, a journal's tail that was not written"},
      {"fallocate", {}, "journal and ledger: room before it is needed"},
      {"fadvise64", {}, "journal: reads ahead"},
      {"newfstatat", {}, "RoleServer: is a descriptor still that connection; sizes of files"},
      {"fstat", {}, "the same"},
      {"statx", {}, "the same"},
      {"fstatfs", {}, "journal: room on the disk"},
      {"statfs", {}, "the same"},
      {"access", {}, "sources of the seal: are they there"},
      {"faccessat", {}, "the same"},
      {"faccessat2", {}, "the same"},
      {"readlink", {}, "the C library: the time zone's file"},
      {"readlinkat", {}, "the same"},
      {"getdents64", {}, "journal: the list of its segments"},
      {"rename", {}, "files that are replaced whole"},
      {"renameat", {}, "the same"},
      {"renameat2", {}, "key file: put in place only where there is none"},
      {"unlink", {}, "destroyed key, old checkpoint, sockets at the end"},
      {"unlinkat", {}, "the same"},
      {"link", {}, "a journal segment that gets its name when it is whole"},
      {"linkat", {}, "the same"},
      {"mkdir", {}, "folder of the segments"},
      {"mkdirat", {}, "the same"},
      {"fchmod", {}, "private modes whatever the umask"},
      {"flock", {}, "one writer a journal"},
      Fcntl(F_DUPFD_CLOEXEC, "RoleServer: numbers of connections rotate"),
      Fcntl(F_GETFD, "gRPC: flags of a descriptor"),
      Fcntl(F_SETFD, "the same"),
      Fcntl(F_GETFL, "gRPC: flags of a connection"),
      Fcntl(F_SETFL, "the same"),
      {"ioctl", {{1, kInt, TCGETS}}, "the C library: is a stream a terminal"},

      // Memory. Never executable; what holds the key may only become less shared.
      {"brk", {}, "allocator"},
      {"mmap", {{2, PROT_EXEC, 0}}, "allocator, stacks of threads, SecretMemory, ledger"},
      {"mprotect", {{2, PROT_EXEC, 0}}, "allocator, stacks of threads"},
      {"munmap", {}, "the same, and SecretMemory's end"},
      {"mremap", {}, "allocator: a large block grows"},
      {"msync", {}, "ledger"},
      {"mlock", {}, "SecretMemory where there is no memfd_secret"},
      {"munlock", {}, "the same"},
      {"memfd_secret", {}, "SecretMemory: a new key"},
      Advice(MADV_DONTNEED, "allocator, stacks, pages of the start"),
      Advice(MADV_FREE, "allocator"),
      Advice(MADV_RANDOM, "ledger"),
      Advice(MADV_SEQUENTIAL, "journal"),
      Advice(MADV_WILLNEED, "journal and ledger"),
      Advice(MADV_HUGEPAGE, "allocator, when told to by its tunables"),
      Advice(MADV_NOHUGEPAGE, "ledger"),
      Advice(MADV_DONTFORK, "SecretMemory"),
      Advice(MADV_DONTDUMP, "SecretMemory"),
      Advice(MADV_WIPEONFORK, "SecretMemory"),

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
      {"sched_get_priority_min", {}, "the same"},
      {"sched_get_priority_max", {}, "the same"},
      {"prlimit64", {{0, kInt, 0}, {2, kWide, 0}}, "C library: reads a limit of its own"},
      {"prctl", {{0, kInt, PR_SET_NAME}}, "gRPC: names a thread"},
      {"getpid", {}, "log, abort"},
      {"gettid", {}, "log, abort"},
      {"getuid", {}, "whom a file must belong to"},
      {"geteuid", {}, "the same"},
      {"getgid", {}, "the same"},
      {"getegid", {}, "the same"},
      {"getcpu", {}, "gRPC: its statistics a processor"},

      // Time and chance, where the kernel's shared page does not do.
      {"clock_gettime", {}, "time of a record, deadlines"},
      {"clock_getres", {}, "the same"},
      {"clock_nanosleep", {}, "gRPC's timers, a pause of the acceptor"},
      {"nanosleep", {}, "the same"},
      {"gettimeofday", {}, "C library"},
      {"time", {}, "C library"},
      {"getrandom", {}, "new keys, salts and nonces"},
      {"uname", {}, "C library: what kernel this is"},
      {"sysinfo", {}, "C library: memory for a large sort"},

      // Signals to itself, and the end.
      {"rt_sigprocmask", {}, "new threads, abort"},
      {"rt_sigaction", {}, "abort"},
      {"rt_sigreturn", {}, "return from a handler"},
      {"sigaltstack", {}, "a thread's end"},
      {"restart_syscall", {}, "goes on waiting after a stop"},
      {"tgkill", {{0, kInt, kOwnPid}}, "abort: SIGABRT to itself"},
      {"wait4", {}, "the key gate's end"},
      {"waitid", {}, "the same"},
      {"exit_group", {}, "the end"},
  };
  list.absent = {
      // Its flags lie in memory, which a filter cannot read.
      {"clone3", "C library: falls back on clone, whose flags are checked above"},
  };
  return list;
}

}  // namespace

const AllowList& KeydCalls() {
  static const AllowList list = MakeList();
  return list;
}

}  // namespace auspex::keyd
