// SPDX-License-Identifier: AGPL-3.0-only
// Process: one of our real programs as a child of the test, in a process group of its own, killed
// whole on destruction. Its standard error goes to a file that a failing test can print. Not
// thread-safe.
#ifndef AUSPEX_TESTS_SUPPORT_PROCESS_H_
#define AUSPEX_TESTS_SUPPORT_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace auspex::testing {

// The path of a program of this build ("auspex-coordd").
std::string ProgramPath(const std::string& name);

class Process {
 public:
  // Starts `argv` (argv[0] is the path) with standard output and error appended to `log_path`; `before_exec` runs in the child.
  // Aborts the test process when it cannot fork.
  Process(std::vector<std::string> argv, const std::string& log_path,
          const std::function<void()>& before_exec = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  // Still running?
  bool Alive();
  void Signal(int number);
  // SIGKILL to the whole group, and reaps.
  void Kill();
  // SIGTERM, then waits; the exit status as of WEXITSTATUS, 128 + n for signal n, nullopt when it
  // did not end in time (it is then killed).
  std::optional<int> Stop(std::chrono::milliseconds patience = std::chrono::seconds(10));
  // Waits for the end without a signal.
  std::optional<int> Wait(std::chrono::milliseconds patience);

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

// Waits until `path` holds a line, and returns it without its line feed; "" when it does not within
// `patience` or `process` ends.
std::string WaitForLine(const std::string& path, Process& process,
                        std::chrono::milliseconds patience = std::chrono::seconds(20));
// The whole file; "" when it cannot be read.
std::string ReadAll(const std::string& path);

}  // namespace auspex::testing

#endif  // AUSPEX_TESTS_SUPPORT_PROCESS_H_
