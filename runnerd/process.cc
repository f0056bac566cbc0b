// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/files/files.h"

namespace auspex::runnerd {
namespace {

struct SpawnSettings {
  SpawnSettings() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
};

}  // namespace

absl::StatusOr<Process> Process::Start(const std::vector<std::string>& arguments,
                                       const std::vector<int>& descriptors) {
  SpawnSettings settings;
  // First out of the way, then into place, so that no source is overwritten before it was copied.
  const int count = static_cast<int>(descriptors.size());
  int away = count;
  for (int descriptor : descriptors) away = std::max(away, descriptor + 1);
  for (int i = 0; i < count; ++i)
    posix_spawn_file_actions_adddup2(&settings.actions, descriptors[i], away + i);
  for (int i = 0; i < count; ++i) posix_spawn_file_actions_adddup2(&settings.actions, away + i, i);
  posix_spawn_file_actions_addclosefrom_np(&settings.actions, count);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&settings.attributes, &none);
  posix_spawnattr_setsigdefault(&settings.attributes, &all);
  posix_spawnattr_setflags(&settings.attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  char* environment[] = {nullptr};
  pid_t pid = -1;
  if (int error = posix_spawn(&pid, argv[0], &settings.actions, &settings.attributes, argv.data(),
                              environment);
      error != 0) {
    return ErrnoStatus(error, "start", arguments[0]);
  }
  UniqueFd pidfd = OpenPidfd(pid);  // not reaped yet, so the number is still this child's
  if (!pidfd) {
    absl::Status status = ErrnoStatus(errno, "pidfd_open", arguments[0]);
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return status;
  }
  return Process(pid, std::move(pidfd));
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}

Process::~Process() {
  if (pid_ < 0) return;
  Kill();
  Wait();
}

void Process::Kill() { SignalByFd(pidfd_.get(), SIGKILL); }

int Process::Wait() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return status;
}

UniqueFd OpenPidfd(pid_t pid) {
  return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

UniqueFd OpenChildOf(pid_t parent, pid_t pid) {
  UniqueFd pidfd = OpenPidfd(pid);
  if (!pidfd) return pidfd;
  // Read after the descriptor was opened: if the parent is still right, the descriptor is the
  // child's.
  absl::StatusOr<std::string> stat = ReadFile(Cat("/proc/", pid, "/stat"), 4096);
  const size_t name_end = stat.ok() ? stat->rfind(')') : std::string::npos;
  int seen_parent = -1;
  char state = 0;
  if (name_end == std::string::npos ||
      sscanf(stat->c_str() + name_end + 1, " %c %d", &state, &seen_parent) != 2 ||
      seen_parent != parent) {
    return UniqueFd();
  }
  return pidfd;
}

void SignalByFd(int pidfd, int signal) {
  if (pidfd >= 0) syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0);
}

}  // namespace auspex::runnerd
