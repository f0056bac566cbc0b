// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/spawn.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "common/base/errno_status.h"

// The child runs in the parent's memory: what it does there must leave no trace, and sanitizers
// would take its stack for the parent's.
#define AUSPEX_IN_BORROWED_MEMORY \
  __attribute__((noinline, no_sanitize("address", "thread", "undefined"), no_stack_protector))

namespace auspex::runnerd {
namespace {

constexpr size_t kStackOctets = 64 * 1024;
constexpr int kSignals = 64;

// What the child needs, made before it exists: it may not allocate.
struct Task {
  char* const* argv = nullptr;
  char* const* envp = nullptr;
  const int* descriptors = nullptr;
  int count = 0;
  int away = 0;           // above every descriptor of the list
  int cgroup_procs = -1;  // to be joined by the child itself; -1: it was born where it belongs
  int error = 0;          // errno of what failed
};

// sigaction(2) as the kernel has it.
struct KernelAction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)();
  unsigned long mask;
};

// The child, up to exec. It shares the memory of a thread that waits, in a process whose other
// threads go on: only system calls, made through syscall(2) since wrappers may be replaced by a
// sanitizer's; no lock, no allocation, nothing of the parent's is written but `error` (and the
// waiting thread's errno).
AUSPEX_IN_BORROWED_MEMORY int RunChild(void* argument) {
  Task& task = *static_cast<Task*>(argument);
  // Handlers are the parent's code and must not run here; all signals are blocked until they are
  // gone. SIGKILL and SIGSTOP answer with an error, which is right.
  const KernelAction by_default{};
  for (int signal = 1; signal <= kSignals; ++signal)
    syscall(SYS_rt_sigaction, signal, &by_default, nullptr, sizeof by_default.mask);
  bool ok = task.cgroup_procs < 0 || syscall(SYS_write, task.cgroup_procs, "0", 1) == 1;
  // First out of the way, then into place, so that no source is overwritten before it was copied.
  for (int i = 0; ok && i < task.count; ++i)
    ok = syscall(SYS_dup3, task.descriptors[i], task.away + i, 0) >= 0;
  for (int i = 0; ok && i < task.count; ++i) ok = syscall(SYS_dup3, task.away + i, i, 0) >= 0;
  ok = ok && syscall(SYS_close_range, task.count, ~0U, 0) == 0;
  const unsigned long none = 0;
  ok = ok && syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none) == 0;
  if (ok) syscall(SYS_execve, task.argv[0], task.argv, task.envp);
  task.error = errno;
  syscall(SYS_exit_group, 127);
  return 0;
}

// clone3(2) with a stack of the child's own. glibc has no wrapper, and its syscall(2) cannot
// return twice: the child must call its function straight from here and never come back. -errno on
// failure; ENOSYS on machines for which nobody wrote it.
AUSPEX_IN_BORROWED_MEMORY long Clone3(clone_args* arguments, int (*child)(void*), void* argument) {
#if defined(__x86_64__)
  long result;
  register void* to_child asm("r12") = argument;
  register int (*function)(void*) asm("r13") = child;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r12, %%rdi\n\t"
      "call *%%r13\n\t"
      "hlt\n"
      "1:"
      : "=a"(result)
      : "a"(SYS_clone3), "D"(arguments), "S"(sizeof *arguments), "r"(to_child), "r"(function)
      : "rcx", "r11", "memory", "cc");
  return result;
#elif defined(__aarch64__)
  register long number asm("x8") = SYS_clone3;
  register long result asm("x0") = reinterpret_cast<long>(arguments);
  register long size asm("x1") = sizeof *arguments;
  register void* to_child asm("x19") = argument;
  register int (*function)(void*) asm("x20") = child;
  asm volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, xzr\n\t"
      "mov x0, x19\n\t"
      "blr x20\n\t"
      "brk #0\n"
      "1:"
      : "+r"(result)
      : "r"(number), "r"(size), "r"(to_child), "r"(function)
      : "memory", "cc", "x30");
  return result;
#else
  return -ENOSYS;
#endif
}

class Stack {
 public:
  Stack()
      : memory_(mmap(nullptr, kStackOctets, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0)) {}
  ~Stack() {
    if (valid()) munmap(memory_, kStackOctets);
  }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  bool valid() const { return memory_ != MAP_FAILED; }
  void* lowest() const { return memory_; }
  void* top() const { return static_cast<char*>(memory_) + kStackOctets; }

 private:
  void* memory_;
};

// No signal handler of the parent's may run in the child before it has put them away.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

// The child's number, or -errno.
long Clone(Task& task, int cgroup, const Stack& stack, int& pidfd) {
  clone_args arguments{};
  arguments.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  arguments.stack = reinterpret_cast<uint64_t>(stack.lowest());
  arguments.stack_size = kStackOctets;
  if (cgroup >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(cgroup);
  }
  const long pid = Clone3(&arguments, RunChild, &task);
  // A container's filter answers ENOSYS to what it cannot look into. clone(2) knows no cgroups, so
  // the child goes into its own as its first act.
  if (pid != -ENOSYS) return pid;
  UniqueFd procs;
  if (cgroup >= 0) {
    procs.Reset(openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC));
    if (!procs) return -errno;
    task.cgroup_procs = procs.get();
  }
  const int old =
      clone(RunChild, stack.top(), CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &task, &pidfd);
  return old < 0 ? -errno : old;
}

}  // namespace

absl::StatusOr<Spawned> SpawnChild(const std::vector<std::string>& arguments,
                                   const std::vector<int>& descriptors, int cgroup) {
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  char* environment[] = {nullptr};
  Task task;
  task.argv = argv.data();
  task.envp = environment;
  task.descriptors = descriptors.data();
  task.count = static_cast<int>(descriptors.size());
  task.away = task.count;
  for (int descriptor : descriptors) task.away = std::max(task.away, descriptor + 1);
  const Stack stack;
  if (!stack.valid()) return ErrnoStatus(errno, "start", arguments[0]);
  int pidfd = -1;
  long pid;
  {
    const SignalsBlocked blocked;
    pid = Clone(task, cgroup, stack, pidfd);
  }
  if (pid < 0) return ErrnoStatus(static_cast<int>(-pid), "start", arguments[0]);
  Spawned child{static_cast<pid_t>(pid), UniqueFd(pidfd)};
  if (task.error != 0) {
    while (waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return ErrnoStatus(task.error, "start", arguments[0]);
  }
  return child;
}

}  // namespace auspex::runnerd
