// SPDX-License-Identifier: AGPL-3.0-only
// Child: a program that this process started and answers for. It dies with its parent, is the
// leader of its own process group (a Ctrl-C on the terminal reaches the parent alone, which then
// stops its children in order), inherits no descriptor, and is killed and reaped when its Child is
// destroyed.
//
// Start children only from a thread that lives as long as they should: the kernel ties
// PR_SET_PDEATHSIG to the thread. One Child is for one thread.
#ifndef AUSPEX_CLI_PROCESS_CHILD_H_
#define AUSPEX_CLI_PROCESS_CHILD_H_

#include <sys/types.h>

#include <csignal>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace auspex::cli {

struct ChildSpec {
  std::string program;                 // path of the executable
  std::vector<std::string> arguments;  // without the program's name
  std::vector<std::pair<std::string, std::string>>
      environment;               // added to, or replacing, the parent's
  int stdout_fd = -1;            // standard output; -1: the parent's
  int stderr_fd = -1;            // standard error; -1: the parent's
  bool outlives_parent = false;  // true: a session of its own, and no signal when the parent dies
  // A descriptor that the child inherits, and the variable that tells it the number; -1: none.
  int passed_fd = -1;
  std::string passed_as;
  bool ready_pipe = false;  // pass AUSPEX_READY_FD and let WaitReady be used
};

class Child {
 public:
  // NOT_FOUND or PERMISSION_DENIED naming the program, or why no process could be made.
  static absl::StatusOr<Child> Start(const ChildSpec& spec);

  Child() = default;
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  ~Child();

  // 0 after the end was seen, and for a default-made object.
  pid_t pid() const { return pid_; }
  bool running() const { return pid_ > 0; }
  // Readable when the child serves (one octet) or is gone (end of file); -1 without a ready pipe or
  // after it was read.
  int ready_fd() const { return ready_.get(); }
  // Reads the ready pipe without waiting: true when the child says that it serves. Closes the pipe
  // in either case.
  bool TakeReady();

  enum class Readiness { kReady, kExited, kTimeout };
  // Waits at most `timeout_ms` for the child to serve.
  Readiness WaitReady(int timeout_ms);

  // Sends a signal; does nothing when the child's end was seen.
  void Signal(int signal) const;
  // The wait status (see DescribeEnd) when the child has ended; nullopt while it runs. Reports an
  // end once.
  std::optional<int> Poll();
  // Waits at most `timeout_ms`.
  std::optional<int> WaitFor(int timeout_ms);
  // SIGTERM, at most `timeout_ms` of patience, SIGKILL. Returns the wait status.
  int Stop(int timeout_ms);
  // Gives the process up: it is neither killed nor reaped by this object.
  pid_t Release();

 private:
  pid_t pid_ = 0;
  UniqueFd ready_;
};

// "exited with code 1" or "was killed by signal 9 (Killed)".
std::string DescribeEnd(int wait_status);
// The exit code, or 128 + signal.
int ExitCode(int wait_status);

// The path of one of our own programs: beside this executable, or in ../libexec/auspex from there.
// NOT_FOUND names both places.
absl::StatusOr<std::string> FindProgram(std::string_view name);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_PROCESS_CHILD_H_
