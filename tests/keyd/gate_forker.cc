// SPDX-License-Identifier: AGPL-3.0-only
// A helper that has gone wrong: tries each way to a process that leaves its session and outlives it, then starts a thread, and
// prints what came of each. With "load" it hangs afterwards.
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <thread>

namespace {

// In the process that should not be: out of reach of who ends a session or a group, with the outputs still open.
[[noreturn]] void Outlive() {
  ::setsid();
  for (;;) ::pause();
}

const char* Try(long made) {
  if (made == 0) Outlive();
  return made > 0 ? "MADE" : errno == EPERM ? "EPERM" : errno == ENOSYS ? "ENOSYS" : "other";
}

long Clone3() {
  struct {
    unsigned long long flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
  } arguments{0, 0, 0, 0, SIGCHLD, 0, 0, 0};
  return ::syscall(435L, &arguments, sizeof arguments);
}

const char* Spawn() {
  pid_t pid = 0;
  char name[] = "keyd_gate_forker", word[] = "outlive";
  char* const argv[] = {name, word, nullptr};
  const int error = ::posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, argv, nullptr);
  return error == 0 ? "MADE" : error == EPERM ? "EPERM" : "other";
}

}  // namespace

int main(int argc, char** argv) {
  const char* word = argc == 2 ? argv[1] : "";
  if (std::strcmp(word, "outlive") == 0) Outlive();
  std::printf("fork %s, ", Try(::fork()));
  std::printf("clone %s, ", Try(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)));
  std::printf("clone3 %s, ", Try(Clone3()));
  std::printf("spawn %s, ", Spawn());
  bool ran = false;
  std::thread([&ran] { ran = true; }).join();
  std::printf("thread %s\n", ran ? "ran" : "did not run");
  std::fflush(stdout);
  if (std::strcmp(word, "load") == 0) ::pause();
  return 0;
}
