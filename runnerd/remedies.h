// SPDX-License-Identifier: AGPL-3.0-only
// What helps a host on which the sandbox cannot be built, in the words of that host. Remedy is
// pure; any thread.
#ifndef AUSPEX_RUNNERD_REMEDIES_H_
#define AUSPEX_RUNNERD_REMEDIES_H_

#include <string>
#include <string_view>

namespace auspex::runnerd {

// The settings that decide whether an ordinary user may make namespaces; empty: the host has no
// such setting.
struct HostSettings {
  std::string apparmor_restricts_userns;  // kernel.apparmor_restrict_unprivileged_userns
  std::string userns_clone;               // kernel.unprivileged_userns_clone (Debian)
  std::string max_user_namespaces;        // user.max_user_namespaces
  bool in_container = false;
};
HostSettings ReadHostSettings();

struct Remedy {
  std::string layer;  // that is missing
  std::string what_to_do;
};

// `said`: the end of bubblewrap's error output.
Remedy BuildRemedy(std::string_view said, const HostSettings& host);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_REMEDIES_H_
