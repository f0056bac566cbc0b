// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/init/executor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "runnerd/init/io.h"
#include "runnerd/init/landlock.h"
#include "runnerd/init/protocol.h"

namespace auspex::unit_init {
namespace {

bool StoreInput() {
  int file = open(kInputPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
  if (file < 0) return false;
  char buffer[32 * 1024];
  for (;;) {
    ssize_t n = read(0, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    if (n == 0) break;
    if (!WriteFully(file, buffer, static_cast<size_t>(n))) return false;
  }
  return close(file) == 0;
}

bool Limit(int resource, uint64_t value) {
  if (value == 0) return true;
  rlimit now;
  if (getrlimit(static_cast<__rlimit_resource>(resource), &now) != 0) return false;
  // A lower hard limit that the owner set on the daemon stays.
  if (now.rlim_max != RLIM_INFINITY && now.rlim_max < value) value = now.rlim_max;
  const rlimit limit{value, value};
  return setrlimit(static_cast<__rlimit_resource>(resource), &limit) == 0;
}

// In the child, up to exec. Ends the process when a limit cannot be set: no unit runs outside its
// limits.
[[noreturn]] void BecomeExecutor(const Limits& limits, char** command, int failure_pipe) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  setsid();  // a group of its own, so that SIGTERM reaches its helpers too
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  bool ready = null >= 0 && dup2(null, 0) == 0 &&
               dup2(2, 1) == 1 &&  // the report's descriptor is gone from here on
               Limit(RLIMIT_NOFILE, limits.open_files) && Limit(RLIMIT_FSIZE, limits.file_size) &&
               Limit(RLIMIT_CPU, limits.cpu_seconds) && Limit(RLIMIT_NPROC, limits.processes) &&
               Limit(RLIMIT_AS, limits.address_space);
  // A domain of its own below the init's: the tenant can signal and trace nothing above it.
  ready = ready && EnterLandlock() >= 0;
  if (ready) execvp(command[0], command);
  int error = errno;
  WriteFully(failure_pipe, reinterpret_cast<const char*>(&error), sizeof error);
  _exit(127);
}

unsigned long FilesIn(const char* folder) {
  struct statfs info {};
  return statfs(folder, &info) == 0 && info.f_files > info.f_ffree ? info.f_files - info.f_ffree
                                                                   : 0;
}

// Waits until `executor` has ended, or until the scratch holds too many files (nullopt); reaps
// everything else that ends meanwhile. Signals must be blocked.
std::optional<int> WaitForExecutor(pid_t executor, uint64_t most_files, const sigset_t& signals) {
  const timespec pause{0, kLookEveryNanos};
  for (;;) {
    const int signal = sigtimedwait(&signals, nullptr, &pause);
    // At signals too: children that end in a row must not keep this from being looked at.
    if (most_files > 0 && FilesIn(kUnitDir) + FilesIn(kShmDir) > most_files) return std::nullopt;
    // Its group exists from its setsid on; before that there is only itself.
    if (signal == SIGTERM && kill(-executor, SIGTERM) != 0) kill(executor, SIGTERM);
    if (signal != SIGCHLD) continue;
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      if (pid == executor) return status;
    }
  }
}

// After this nothing but this process is alive in the namespace, so files hold still.
void KillRest() {
  do {
    kill(-1, SIGKILL);
  } while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR);
}

int ReportOutput(int status, uint64_t max_output) {
  // The names were made by a tenant: no link is followed and nothing that could block is opened
  // blocking.
  int file = open(kOutputPath, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  const char* word = kOutputOk;
  struct stat info {};
  if (file < 0) {
    word = errno == ENOENT                    ? kOutputMissing
           : errno == ELOOP || errno == ENXIO ? kOutputNotRegular
                                              : kOutputUnreadable;
  } else if (fstat(file, &info) != 0) {
    word = kOutputUnreadable;
  } else if (!S_ISREG(info.st_mode)) {
    word = kOutputNotRegular;
  } else if (static_cast<uint64_t>(info.st_size) > max_output) {
    word = kOutputTooLarge;
  }
  const uint64_t size = word == kOutputOk ? static_cast<uint64_t>(info.st_size) : 0;
  return WriteEnd(1, "exited", WEXITSTATUS(status), word, size) &&
                 (size == 0 || CopyFile(1, file, size))
             ? 0
             : 1;
}

}  // namespace

int RunExecutor(const Limits& limits, char** command) {
  // kill(-1) below must never run anywhere but at the head of a process namespace.
  if (getpid() != 1) return 2;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, SIGTERM);  // both are blocked since main began
  int failure[2];
  if (!StoreInput() || pipe2(failure, O_CLOEXEC) != 0)
    return WriteEnd(1, "failed", errno, kOutputNone, 0) ? 0 : 1;
  pid_t executor = fork();
  if (executor < 0) return WriteEnd(1, "failed", errno, kOutputNone, 0) ? 0 : 1;
  if (executor == 0) BecomeExecutor(limits, command, failure[1]);
  close(failure[1]);
  int error = 0;
  ssize_t told;
  do {
    told = read(failure[0], &error, sizeof error);  // ends when the exec succeeded
  } while (told < 0 && errno == EINTR);
  close(failure[0]);
  const std::optional<int> ended = WaitForExecutor(executor, limits.scratch_files, signals);
  KillRest();
  if (!ended) {
    const int most = static_cast<int>(limits.scratch_files);
    return WriteEnd(1, "exited", most, kOutputTooManyFiles, 0) ? 0 : 1;
  }
  const int status = *ended;
  if (told == sizeof error) return WriteEnd(1, "failed", error, kOutputNone, 0) ? 0 : 1;
  if (WIFSIGNALED(status)) return WriteEnd(1, "signaled", WTERMSIG(status), kOutputNone, 0) ? 0 : 1;
  if (WEXITSTATUS(status) != 0)
    return WriteEnd(1, "exited", WEXITSTATUS(status), kOutputNone, 0) ? 0 : 1;
  return ReportOutput(status, limits.max_output);
}

}  // namespace auspex::unit_init
