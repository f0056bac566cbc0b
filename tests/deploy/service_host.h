// SPDX-License-Identifier: AGPL-3.0-only
// ServiceHost: runs the daemons from the unit files of deploy/systemd as systemd runs them, on a host where it does not run. A mount
// namespace of the test's own has the users of deploy/sysusers.d, the folders of deploy/tmpfiles.d and the programs in their place; sockets
// are bound with the owner and mode of their units and handed over; a service gets its user, no capability, no new privileges, its list of
// system calls, families and namespaces, an empty network, a read-only root and a /proc of its own as its unit says.
//
// What systemd alone can do is tested in tests/vm: cgroups and their limits, device lists, encrypted credentials.
//
// One thread. The test's own process moves into the namespace for good.
#ifndef AUSPEX_TESTS_DEPLOY_SERVICE_HOST_H_
#define AUSPEX_TESTS_DEPLOY_SERVICE_HOST_H_

#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/unique_fd.h"
#include "tests/e2e/harness.h"

namespace auspex::deploy {

class ServiceHost {
 public:
  // Whether this process may do all that; the test is skipped otherwise.
  static bool Possible();
  // Moves into the namespace and makes users, folders, programs and sockets. A failure is a failure of the calling test.
  void Prepare();
  ~ServiceHost();

  // Starts auspex-<daemon>.service and waits until it says READY=1; false when it ends before or 20 s pass.
  bool Start(const std::string& daemon);
  // SIGTERM to the main process; the exit code, -1 when it took longer than 15 s. The sockets stay.
  int Stop(const std::string& daemon);
  // SIGKILL to what is left of the service.
  void Kill(const std::string& daemon);
  bool Running(const std::string& daemon);
  pid_t pid(const std::string& daemon) const;
  // What the daemon has told so far, one line a datagram's line.
  std::vector<std::string> Told(const std::string& daemon);
  std::string log(const std::string& daemon) const { return "/run/auspex-test/" + daemon + ".log"; }

  // `auspex --system <words>` as a user.
  struct User {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
  };
  static User Root() { return {}; }
  // One of deploy/sysusers.d.
  static User Named(const std::string& name);
  // A user who is nobody here, and a member of the group when it is named.
  static User Stranger(const std::string& group = "");
  static e2e::Finished Verb(const User& user, const std::vector<std::string>& words,
                            double seconds = 60);
  // Runs `attempt` in a child that is `user`; its value (0..255).
  static int As(const User& user, const std::function<int()>& attempt);

 private:
  struct Service {
    pid_t pid = 0;
    std::optional<int> code;
    UniqueFd notify;
    std::vector<std::string> told;
  };
  void Hear(Service& service);
  bool Ended(Service& service);

  std::map<std::string, UniqueFd> sockets_;  // by "keyd/request"
  std::map<std::string, Service> services_;
};

}  // namespace auspex::deploy

#endif  // AUSPEX_TESTS_DEPLOY_SERVICE_HOST_H_
