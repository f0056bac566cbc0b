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
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

namespace auspex::keyd {
namespace {

// Not in every libc's headers; the numbers are the kernel's ABI.
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
      AskSocket(SO_PEERCRED, "PeerOf: who connected"),
      AskSocket(SO_PEERGROUPS, "PeerOf: the groups of who connected"),
      AskSocket(SO_ERROR, "gRPC: why a connection ended"),
      {"setsockopt",
       {{1, kInt, kSolTcp}, {2, kInt, kTcpInq}},
       "gRPC: asks every connection for it, in vain on a Unix socket"},
      {"socket", {{0, kInt, AF_UNIX}}, "Daemon: tells the service manager, its watchdog included"},
      {"sendto", {}, "Daemon: the same; the key gate: a question; RoleDoor: lets a peer in or not"},
      {"recvfrom", {}, "the key gate: how its helper ended; RoleDoor: the role's key"},
      {"eventfd2", {}, "gRPC: wakes a poller"},
      {"poll", {}, "RoleServer and Daemon: wait for a peer, a signal, the end"},
      {"ppoll", {}, "the same, where there is no poll"},

      // Files: the journal, the ledger, the sealed key, the enrolment.
      {"openat",
       {},
       "journal segments, ledger, key file, enrolment; gRPC's look at the processors"},
      {"close", {}, "every descriptor's end"},
      {"read",
       {},
       "key file, enrolment, signal and event descriptors, pipes of the key gate's helper"},
      {"pread64", {}, "journal: listing and proofs"},
      {"write", {}, "log, key file, enrolment, event descriptors, pipes of the key gate's helper"},
      {"writev", {}, "C library: its last words before it aborts"},
      {"pwrite64", {}, "journal and ledger"},
      {"lseek", {}, "C library: the end of a stream that was not read to its end"},
      {"fsync", {}, "key file, folders"},
      {"sync_file_range", {}, "journal: the disk begins while keyd computes"},
      {"fdatasync", {}, "journal: a record is durable before its signature leaves"},
      {"ftruncate", {}, "SecretMemory, ledger, a journal's tail that was not written"},
      {"fallocate", {}, "journal and ledger: room before it is needed"},
      {"newfstatat", {}, "RoleServer: is a descriptor still that connection; sizes of files"},
      {"fstat", {}, "the same"},
      {"access", {}, "key store, enrolment: is a file there"},
      {"faccessat", {}, "the same"},
      {"getdents64", {}, "journal: the list of its segments"},
      {"rename", {}, "files that are replaced whole"},
      {"renameat", {}, "the same"},
      {"renameat2", {}, "key file: put in place only where there is none"},
      {"unlink", {}, "destroyed key, old checkpoint, sockets at the end"},
      {"unlinkat", {}, "the same"},
      {"fchmod", {}, "private modes whatever the umask"},
      Fcntl(F_DUPFD_CLOEXEC, "RoleServer: numbers of connections rotate"),
      Fcntl(F_GETFL, "C library: opens a folder by its descriptor"),

      // Memory. Never executable; what holds the key may only become less shared.
      {"brk", {}, "allocator"},
      {"mmap", {{2, PROT_EXEC, 0}}, "allocator, stacks of threads, SecretMemory, ledger"},
      {"mprotect", {{2, PROT_EXEC, 0}}, "allocator, stacks of threads"},
      {"munmap", {}, "the same, and SecretMemory's end"},
      {"mremap", {}, "allocator: a large block grows"},
      {"mlock", {}, "SecretMemory where there is no memfd_secret"},
      {"memfd_secret", {}, "SecretMemory: a new key"},
      Advice(MADV_DONTNEED, "allocator, stacks, pages of the start"),
      Advice(MADV_FREE, "allocator"),
      Advice(MADV_RANDOM, "pages of the start: what is needed again comes back singly"),
      Advice(MADV_HUGEPAGE, "allocator, when told to by its tunables"),
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
      {"prlimit64", {{0, kInt, 0}, {2, kWide, 0}}, "C library: reads a limit of its own"},
      {"prctl", {{0, kInt, PR_SET_NAME}}, "gRPC: names a thread"},
      {"getpid", {}, "log, abort"},
      {"gettid", {}, "log, abort"},
      {"geteuid", {}, "SecretFile: whom a file must belong to"},

      // Time and chance, where the kernel's shared page does not do.
      {"clock_gettime", {}, "time of a record, deadlines"},
      {"clock_nanosleep", {}, "gRPC's timers, a pause of the acceptor"},
      {"gettimeofday", {}, "C library"},
      {"time", {}, "C library"},
      {"getrandom", {}, "new keys, salts and nonces"},
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

}  // namespace

const AllowList& KeydCalls() {
  static const AllowList list = MakeList();
  return list;
}

}  // namespace auspex::keyd
