// SPDX-License-Identifier: AGPL-3.0-only
// SelfTest: the escape suite (runnerd/escape/table.h) on this host. Its probe program is staged as a
// tenant's package and run through a pipeline of its own that does all that the daemon's does but
// for the signature, so that nothing that it brings can ever be submitted. Safe from any thread; one
// run at a time.
#ifndef AUSPEX_RUNNERD_SELF_TEST_H_
#define AUSPEX_RUNNERD_SELF_TEST_H_

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "runnerd/isolation.h"
#include "runnerd/run_control.h"
#include "runnerd/sandbox_host.h"
#include "runnerd/thermal.h"

namespace auspex::runnerd {

struct SelfTestRow {
  std::string_view name, what, expected;  // of the table
  std::string seen;
  std::string_view verdict;  // "held", "broken", "no-limit" (see the contract)
};

class SelfTest {
 public:
  // `targets`: what the attempts reach for (runnerd/escape/attempt.h) -> path. What is lent must
  // outlive the object.
  SelfTest(const SandboxHost& host, ThermalGovernor& thermal, Isolation& isolation,
           std::map<std::string, std::string> targets)
      : host_(host), thermal_(thermal), isolation_(isolation), targets_(std::move(targets)) {}

  // Calls `row` for each row of the table, until it returns false or Stop is called (CANCELLED).
  // FAILED_PRECONDITION while another call runs, without the probe program, or when a required layer
  // is missing.
  absl::Status Run(const std::function<bool(const SelfTestRow&)>& row);
  // Ends a run at once, and each that follows.
  void Stop();

 private:
  class Bench;
  absl::Status RunOn(Bench& bench, const std::function<bool(const SelfTestRow&)>& row);
  // A control for the next unit, known to Stop.
  bool Enter(RunControl& control);
  void Leave();

  const SandboxHost& host_;
  ThermalGovernor& thermal_;
  Isolation& isolation_;
  const std::map<std::string, std::string> targets_;
  std::mutex one_;    // held by the call that runs
  std::mutex mutex_;  // guards what follows
  bool stopped_ = false;
  RunControl* current_ = nullptr;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_SELF_TEST_H_
