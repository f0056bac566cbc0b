// SPDX-License-Identifier: AGPL-3.0-only
// Process: one child of this process, held by a pid descriptor so that no reused number is ever
// signalled. One thread at a time.
#ifndef AUSPEX_RUNNERD_PROCESS_H_
#define AUSPEX_RUNNERD_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace auspex::runnerd {

class Process {
 public:
  // As SpawnChild. The child dies with the thread that called only if it arranges so itself
  // (bubblewrap does: keep that thread alive).
  static absl::StatusOr<Process> Start(const std::vector<std::string>& arguments,
                                       const std::vector<int>& descriptors, int cgroup = -1);
  Process(Process&&) noexcept;
  Process& operator=(Process&&) noexcept = delete;
  // Kills and reaps a child that was not waited for.
  ~Process();

  pid_t pid() const { return pid_; }
  // Becomes readable when the child has ended.
  int fd() const { return pidfd_.get(); }
  void Kill();
  // Waits for the end and reaps: the wait status. Call once.
  int Wait();

 private:
  Process(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  pid_t pid_ = -1;
  UniqueFd pidfd_;
};

// pidfd_open(2); invalid on failure, with errno. By system call, since glibc 2.36's header cannot
// be used from C++.
UniqueFd OpenPidfd(pid_t pid);
// A pid descriptor of a grandchild; invalid when it is gone or is not a child of `parent` any more.
UniqueFd OpenChildOf(pid_t parent, pid_t pid);
// Sends through a pid descriptor; false when the process is gone or is not ours to signal.
bool SignalByFd(int pidfd, int signal);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_PROCESS_H_
