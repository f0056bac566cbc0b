// SPDX-License-Identifier: AGPL-3.0-only
// LabWorker: one worker of the lab, with a home of its own, driven as an owner would drive it: a
// worker.toml, `auspex bootstrap`, `auspex daemon`. Its processes end with this object, unless it
// was made to outlive the lab. One thread.
#ifndef AUSPEX_CLI_LAB_LAB_WORKER_H_
#define AUSPEX_CLI_LAB_LAB_WORKER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "cli/clients.h"
#include "cli/process/child.h"
#include "common/paths/layout.h"

namespace auspex::cli::lab {

class LabWorker {
 public:
  struct Settings {
    std::string coordinator_url;
    std::string receipt_key;  // hex
    int slots = 2;
    bool outlives_parent = false;
  };
  // Makes the home and its worker.toml. `name` is for messages: "w1".
  static absl::StatusOr<std::unique_ptr<LabWorker>> Create(const std::string& name,
                                                           const std::string& home,
                                                           const Settings& settings);

  const std::string& name() const { return name_; }
  const std::string& home() const { return home_; }
  // Where the daemons' log lines are.
  std::string log_path() const { return home_ + ".log"; }
  Child& process() { return process_; }
  Clients& clients() { return *clients_; }

  // Starts `auspex bootstrap`; several workers may do it at the same time.
  absl::Status BeginBootstrap();
  // Waits for it. What it printed in case of a failure is in Troubles.
  absl::Status FinishBootstrap();
  // Starts `auspex daemon`.
  absl::Status StartDaemon();
  // OK when it is connected to the coordinator and has slots; UNAVAILABLE not yet; another code
  // when it ended.
  absl::Status CheckReady();
  // The last lines of the log that tell of trouble; empty when there are none.
  std::string Troubles() const;

 private:
  LabWorker(std::string name, std::string home, Settings settings, Layout layout);
  absl::StatusOr<Child> StartCommand(const std::string& verb, bool outlives_parent) const;

  std::string name_, home_;
  Settings settings_;
  Layout layout_;
  Child bootstrap_, process_;
  std::unique_ptr<Clients> clients_;
};

}  // namespace auspex::cli::lab

#endif  // AUSPEX_CLI_LAB_LAB_WORKER_H_
