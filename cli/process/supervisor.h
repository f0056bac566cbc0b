// SPDX-License-Identifier: AGPL-3.0-only
// Supervisor: starts the daemons of one worker, keeps them up, stops them in order. What `auspex
// daemon` is made of.
//
//   start    all at the same time; each says through AUSPEX_READY_FD that it serves
//   crash    the daemon is started again after 100 ms, doubled at every crash up to 10 s; 60 s of
//            work reset the pause
//   refusal  a daemon that exits with code 2 refused to start: everything is stopped, the result
//            is 2, nothing is tried again
//   stop     SIGTERM, SIGINT or SIGHUP: in the reverse order of `programs`, each with its patience
//            and then SIGKILL; a second signal ends the patience
//
// Whatever a killed daemon leaves behind becomes a child of this process (subreaper), is killed at
// the end and reaped. One Supervisor a process, used from the main thread, made before any other
// thread (it blocks signals).
#ifndef AUSPEX_CLI_PROCESS_SUPERVISOR_H_
#define AUSPEX_CLI_PROCESS_SUPERVISOR_H_

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/process/child.h"
#include "common/base/unique_fd.h"

namespace auspex::cli {

class Supervisor {
 public:
  struct Program {
    std::string name;  // for messages: "keyd"
    std::string path;
    std::vector<std::string> arguments;
    bool ends_the_run = false;  // its exit with 0 or 1 is the end of the work, with that result
    // Makes, for each start, a descriptor that the program inherits and finds in `handed_as`.
    std::function<absl::StatusOr<UniqueFd>()> hand_over;
    std::string handed_as;
  };
  struct Options {
    std::vector<Program> programs;  // in start order
    // Called once, in the supervising thread, when all of `check_after` serve. An error stops
    // everything with code 2.
    std::vector<std::string> check_after;
    std::function<absl::Status()> check;
    // Called for events that the owner should read: "netd was killed by signal 9; starts again in
    // 100 ms".
    std::function<void(const std::string&)> report;
    int first_pause_ms = 100, longest_pause_ms = 10'000;
    int steady_ms = 60'000;   // working for so long resets the pause
    int ready_ms = 60'000;    // not serving for so long counts as a crash
    int patience_ms = 5'000;  // between SIGTERM and SIGKILL
  };

  explicit Supervisor(Options options);
  // Runs until a signal, a refusal or the end of the work. Returns the command's exit code. No
  // child is left.
  int Run();

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Slot {
    Program program;
    Child child;
    bool ready = false;
    Time started{};
    int pause_ms = 0;
    std::optional<Time> start_at;  // set while waiting to be started again
  };

  absl::Status BlockSignals();
  // Starts a slot; a program that cannot be started at all is a refusal.
  bool StartSlot(Slot& slot);
  // Looks at every child; sets result_ when the run is over.
  void ReapSlots();
  void HandleEnd(Slot& slot, int wait_status);
  void ReapOrphans();
  void StartDue();
  void CheckWhenReady();
  // Waits for a signal, readiness, or the next thing due. Returns true when a stop signal came.
  bool WaitForEvent(int timeout_ms);
  int MsUntilNextDue() const;
  void StopAll();

  Options options_;
  std::vector<Slot> slots_;
  UniqueFd signals_;
  bool checked_ = false;
  std::optional<int> result_;
  // What the check said against the run; told once everything has stopped.
  std::string refusal_;
};

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_PROCESS_SUPERVISOR_H_
