// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/crash/fleet.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace auspex::crash {
namespace {

constexpr int kUnitsAtATime = 60;

}  // namespace

Fleet::Fleet(std::string folder, int workers) : folder_(std::move(folder)) {
  // A short lease: an assignment whose answer was lost in a crash is handed out again within the
  // test's time.
  coordinator_ = std::make_unique<e2e::Coordinator>(
      folder_ + "/c", std::vector<std::string>{"--lease-seconds", "2", "--max-offers", "100",
                                               "--expire-leases", "0"});
  coordinator_->Start();
  for (int i = 0; i < workers; ++i) {
    workers_.push_back(std::make_unique<e2e::Worker>(
        folder_ + "/w" + std::to_string(i),
        e2e::Worker::Settings{.url = coordinator_->url(), .slots = 2}));
    workers_.back()->Bootstrap();
  }
}

void Fleet::Start() {
  for (auto& worker : workers_) worker->StartDaemon();
}

int Fleet::Completed() {
  int completed = 0;
  for (const std::string& experiment : experiments_) {
    const e2e::Json progress = coordinator_->Progress(experiment);
    if (!progress.is_object()) return -1;
    completed += progress["units"].value("completed", 0);
  }
  return completed;
}

void Fleet::Feed(int least) {
  const int completed = Completed();
  if (completed < 0 || units_ - completed >= least) return;
  const std::string label = "crash-" + std::to_string(experiments_.size());
  const e2e::Package noop = e2e::Pack("noop", label);
  const std::string id =
      coordinator_->Submit(noop.manifest, e2e::Units(kUnitsAtATime, label + "-"),
                           static_cast<int>(workers_.size()), noop.archive_base64);
  if (id.empty()) return;
  experiments_.push_back(id);
  units_ += kUnitsAtATime;
}

bool Fleet::Drain(double seconds) {
  return e2e::Eventually(seconds, [&] { return Completed() == units_; });
}

bool Fleet::KillDaemon(size_t worker, const std::string& name) {
  const pid_t pid = workers_[worker]->PidOf(name);
  return pid > 0 && ::kill(pid, SIGKILL) == 0;
}

void Fleet::KillSupervisor(size_t worker) {
  workers_[worker]->daemon().Signal(SIGKILL);
  (void)workers_[worker]->daemon().Wait(10);
  workers_[worker]->LaunchDaemon();
}

void Fleet::KillCoordinator() {
  coordinator_->Kill();
  coordinator_->Start();
}

std::vector<std::string> Fleet::EndedByThemselves() {
  std::vector<std::string> ended;
  for (size_t i = 0; i < workers_.size(); ++i) {
    const std::optional<int> code = workers_[i]->daemon().Wait(0);
    if (code)
      ended.push_back("worker " + std::to_string(i) + ": exit code " + std::to_string(*code));
  }
  return ended;
}

}  // namespace auspex::crash
