// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/environment.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "common/base/cat.h"

namespace auspex::keyd {
namespace {

// Ours and the existing worker's; places of user mode; systemd's.
constexpr std::array<std::string_view, 3> kPrefixes = {"AUSPEX_", "AUSPEXAI_", "XDG_"};
constexpr std::array<std::string_view, 9> kNames = {
    "HOME",       "TZ",         "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC",
    "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",        "LANG"};

}  // namespace

absl::Status RefuseLoadedCode() {
  for (const char* name : {"LD_PRELOAD", "LD_AUDIT"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    return absl::FailedPreconditionError(
        Cat("environment: ", name,
            " is set, so code that is not keyd's runs in keyd; start it without that variable"));
  }
  return absl::OkStatus();
}

bool IsKept(std::string_view name) {
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
         std::any_of(kPrefixes.begin(), kPrefixes.end(), [&](std::string_view prefix) {
           return name.substr(0, prefix.size()) == prefix;
         });
}

void CleanEnvironment() {
  std::vector<std::string> removed;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    const std::string_view variable(*at);
    const std::string_view name = variable.substr(0, variable.find('='));
    if (!IsKept(name)) removed.emplace_back(name);
  }
  for (const std::string& name : removed) ::unsetenv(name.c_str());
}

}  // namespace auspex::keyd
