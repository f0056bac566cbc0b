// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/deploy/services.h"

#include <algorithm>

#include "tests/support/pace.h"

namespace auspex::deploy {

const std::vector<std::string> kDaemons = {"keyd", "stated", "runnerd", "netd"};

std::string Service(const std::string& daemon) { return "auspex-" + daemon + ".service"; }

std::string WorkerSettings(const std::string& url, const std::string& more) {
  return "[coordinator]\nurl = \"" + url +
         "\"\nheartbeat_interval_seconds = " + std::to_string(TestInterval(0.3)) +
         "\nassignment_poll_interval_seconds = " + std::to_string(TestInterval(0.1)) +
         "\n"
         "[executor]\nexecute_tenant_code = \"provisioned\"\n[resources]\nslots = 2\n" +
         more;
}

e2e::Finished Services::Systemctl(const std::vector<std::string>& words) const {
  std::vector<std::string> command = systemctl_;
  command.insert(command.end(), words.begin(), words.end());
  return execute_(command);
}

std::string Services::Property(const std::string& unit, const std::string& name) const {
  std::string value = Systemctl({"show", "--value", "--property=" + name, unit}).out;
  while (value.ends_with("\n")) value.pop_back();
  return value;
}

bool Services::Active(const std::string& unit) const {
  return Property(unit, "ActiveState") == "active";
}

bool Services::AllReach(const std::string& state) const {
  return e2e::Eventually(30 * TestPace(), [&] {
    return std::all_of(kDaemons.begin(), kDaemons.end(), [&](const std::string& daemon) {
      return Property(Service(daemon), "ActiveState") == state;
    });
  });
}

bool Services::ComesBackAfter(const std::string& signal, const std::string& daemon,
                              double seconds) const {
  const std::string pid = Property(Service(daemon), "MainPID");
  const e2e::Finished sent =
      Systemctl({"kill", "--signal=" + signal, "--kill-whom=main", Service(daemon)});
  return sent.code == 0 && e2e::Eventually(seconds * TestPace(), [&] {
           return Active(Service(daemon)) && Property(Service(daemon), "MainPID") != pid;
         });
}

}  // namespace auspex::deploy
