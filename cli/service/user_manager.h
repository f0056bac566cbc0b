// SPDX-License-Identifier: AGPL-3.0-only
// UserManager: the person's own service manager, asked through systemctl and loginctl, which speak to it in the form of its version. Every
// call starts a program and waits for it. One thread.
#ifndef AUSPEX_CLI_SERVICE_USER_MANAGER_H_
#define AUSPEX_CLI_SERVICE_USER_MANAGER_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace auspex::cli {

class UserManager {
 public:
  // FAILED_PRECONDITION with what to do where there is no systemd, or none for this user.
  static absl::StatusOr<UserManager> Find();

  // `systemctl --user <words>`; what it printed. UNAVAILABLE with its own words when it failed.
  absl::StatusOr<std::string> Systemctl(std::vector<std::string> words) const;
  // The properties of units, by the unit's name.
  using Properties = std::map<std::string, std::string>;
  absl::StatusOr<std::map<std::string, Properties>> Show(
      const std::vector<std::string>& units, const std::vector<std::string>& properties) const;
  bool Active(const std::string& unit) const;

  // Whether the manager goes on when the person has logged out; nullopt when nobody can tell.
  static std::optional<bool> Lingers();
  // Whether the system's manager runs `unit`, or will at the next start.
  static bool SystemHas(const std::string& unit);

 private:
  explicit UserManager(std::string systemctl) : systemctl_(std::move(systemctl)) {}
  std::string systemctl_;
};

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_SERVICE_USER_MANAGER_H_
