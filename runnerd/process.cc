// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/process.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "common/base/cat.h"
#include "common/files/files.h"
#include "runnerd/spawn.h"

namespace auspex::runnerd {

absl::StatusOr<Process> Process::Start(const std::vector<std::string>& arguments,
                                       const std::vector<int>& descriptors, int cgroup) {
  absl::StatusOr<Spawned> child = SpawnChild(arguments, descriptors, cgroup);
  if (!child.ok()) return child.status();
  return Process(child->pid, std::move(child->pidfd));
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

bool SignalByFd(int pidfd, int signal) {
  return pidfd >= 0 && syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0;
}

}  // namespace auspex::runnerd
