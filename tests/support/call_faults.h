// SPDX-License-Identifier: AGPL-3.0-only
// CallFaults: has system calls of a real program fail, at a chosen one of them, without a tracer, a preloaded library or a part of the
// program that knows of it. The program's own filters go on in force.
//
//   CallFaults faults({SYS_fdatasync}, [n = 0](const CallFaults::Call&) mutable { return ++n == 3 ? EIO : 0; });
//   KeydProcess keyd(home, {}, [&faults] { faults.WatchThisProcess(); });
//
// The kernel stops the program in each watched call, and asks (seccomp's user notification, Linux 5.5). Outlives the program.
#ifndef AUSPEX_TESTS_SUPPORT_CALL_FAULTS_H_
#define AUSPEX_TESTS_SUPPORT_CALL_FAULTS_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace auspex::testing {

class CallFaults {
 public:
  struct Call {
    int number = 0;
    pid_t thread = 0;  // who makes it
    uint64_t arguments[6] = {};
  };
  // What becomes of a call: 0 lets it be made, an errno has it fail with that. Asked in a thread of this object, one call at a time, in
  // the order in which the program makes them.
  using Answer = std::function<int(const Call&)>;

  // Calls whose number is not in `watched` are made without a question.
  CallFaults(std::vector<int> watched, Answer answer);
  ~CallFaults();
  CallFaults(const CallFaults&) = delete;
  CallFaults& operator=(const CallFaults&) = delete;

  // In the child, between fork and exec, once. Ends the child with status 125 when the kernel gives no such filter.
  void WatchThisProcess() const;

 private:
  void AnswerCalls(int listener);

  const std::vector<int> watched_;
  const Answer answer_;
  int to_supervisor_ = -1, from_child_ = -1, stop_ = -1;
  std::thread supervisor_;
};

}  // namespace auspex::testing

#endif  // AUSPEX_TESTS_SUPPORT_CALL_FAULTS_H_
