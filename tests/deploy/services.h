// SPDX-License-Identifier: AGPL-3.0-only
// Services: the four daemons as services of a real systemd, of the system's manager or a person's own, which tests start, kill and ask.
// One thread.
#ifndef AUSPEX_TESTS_DEPLOY_SERVICES_H_
#define AUSPEX_TESTS_DEPLOY_SERVICES_H_

#include <functional>
#include <string>
#include <vector>

#include "tests/e2e/harness.h"

namespace auspex::deploy {

// In the order in which they start.
extern const std::vector<std::string> kDaemons;
// "auspex-keyd.service"
std::string Service(const std::string& daemon);

// The settings of a worker of a coordinator on loopback that is to work fast, with `more` behind them.
std::string WorkerSettings(const std::string& url, const std::string& more);

class Services {
 public:
  // Runs a command as whoever the manager is asked by.
  using Execute = std::function<e2e::Finished(const std::vector<std::string>&)>;
  // `systemctl` is how it is called: with --user for a person's manager.
  Services(Execute execute, std::vector<std::string> systemctl)
      : execute_(std::move(execute)), systemctl_(std::move(systemctl)) {}

  e2e::Finished Systemctl(const std::vector<std::string>& words) const;
  // The value of a unit's property, without the end of its line.
  std::string Property(const std::string& unit, const std::string& name) const;
  bool Active(const std::string& unit) const;

  // Each waits as long as the machine is slow.
  bool AllReach(const std::string& state) const;
  bool AllActive() const { return AllReach("active"); }
  // Sends a signal that ends the main process sooner or later; true when the service runs with another one.
  bool ComesBackAfter(const std::string& signal, const std::string& daemon, double seconds) const;

 private:
  Execute execute_;
  std::vector<std::string> systemctl_;
};

}  // namespace auspex::deploy

#endif  // AUSPEX_TESTS_DEPLOY_SERVICES_H_
