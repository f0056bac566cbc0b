// SPDX-License-Identifier: AGPL-3.0-only
// Fleet: a coordinator, workers, and a flow of units through them that never runs dry; parts of it
// can be killed and come back. One thread.
#ifndef AUSPEX_TESTS_CRASH_FLEET_H_
#define AUSPEX_TESTS_CRASH_FLEET_H_

#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/lab.h"

namespace auspex::crash {

class Fleet {
 public:
  // `workers` enrolled workers below `folder`; every unit is to be computed by each of them.
  // Nothing of the workers runs yet.
  Fleet(std::string folder, int workers);
  void Start();

  size_t size() const { return workers_.size(); }
  e2e::Worker& worker(size_t i) { return *workers_[i]; }
  e2e::Coordinator& coordinator() { return *coordinator_; }

  // Hands out another experiment when fewer than `least` units are open.
  void Feed(int least);
  int units() const { return units_; }
  const std::vector<std::string>& experiments() const { return experiments_; }
  // Units that are completed at the coordinator; -1 when it does not answer.
  int Completed();
  // Waits until every unit is completed.
  bool Drain(double seconds);

  // SIGKILL to one daemon ("netd") of a worker; false when it did not run.
  bool KillDaemon(size_t worker, const std::string& name);
  // SIGKILL to `auspex daemon`; it is started again at once.
  void KillSupervisor(size_t worker);
  // SIGKILL to the coordinator; it is started again on the same store and port.
  void KillCoordinator();
  // The exit codes of workers that ended without having been killed, as "worker 1: 2".
  std::vector<std::string> EndedByThemselves();

 private:
  std::string folder_;
  std::unique_ptr<e2e::Coordinator> coordinator_;
  std::vector<std::unique_ptr<e2e::Worker>> workers_;
  std::vector<std::string> experiments_;
  int units_ = 0;
};

}  // namespace auspex::crash

#endif  // AUSPEX_TESTS_CRASH_FLEET_H_
