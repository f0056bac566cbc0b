// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/remedies.h"

#include <sys/stat.h>

#include "common/base/cat.h"
#include "common/files/files.h"

namespace auspex::runnerd {
namespace {

std::string ReadSetting(const char* path) {
  auto text = ReadFile(path, 64);
  return text.ok() ? text->substr(0, text->find('\n')) : "";
}

bool Exists(const char* path) {
  struct stat info {};
  return stat(path, &info) == 0;
}

}  // namespace

HostSettings ReadHostSettings() {
  HostSettings host;
  host.apparmor_restricts_userns =
      ReadSetting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
  host.userns_clone = ReadSetting("/proc/sys/kernel/unprivileged_userns_clone");
  host.max_user_namespaces = ReadSetting("/proc/sys/user/max_user_namespaces");
  // Docker's mark, and Podman's.
  host.in_container = Exists("/.dockerenv") || Exists("/run/.containerenv");
  return host;
}

Remedy BuildRemedy(std::string_view said, const HostSettings& host) {
  if (said.find("nknown option") != std::string_view::npos) {
    return {"bubblewrap",
            "bubblewrap is too old: it must know --disable-userns and --ro-bind-fd (Debian 12 with "
            "its security updates, Ubuntu 24.04, or bubblewrap 0.10 and newer)"};
  }
  if (host.apparmor_restricts_userns == "1") {
    return {
        "user-namespace",
        "this kernel lets only confined programs make user namespaces (Ubuntu 23.10 and newer): "
        "install the AppArmor profile that comes with auspex, or run: sysctl "
        "kernel.apparmor_restrict_unprivileged_userns=0"};
  }
  if (host.userns_clone == "0")
    return {"user-namespace", "run: sysctl kernel.unprivileged_userns_clone=1"};
  if (host.max_user_namespaces == "0")
    return {"user-namespace", "run: sysctl user.max_user_namespaces=10000"};
  if (host.in_container && said.find("mount proc") != std::string_view::npos) {
    return {"process-namespace",
            "this container masks parts of /proc: start it with --security-opt "
            "systempaths=unconfined (Podman: --security-opt unmask=ALL)"};
  }
  if (host.in_container) {
    return {"user-namespace",
            "this container may not make namespaces: start it with --security-opt "
            "seccomp=unconfined --security-opt apparmor=unconfined, or run auspex on the host"};
  }
  return {"user-namespace",
          "user namespaces must be allowed for this user (in a container: seccomp and AppArmor of "
          "the container must allow them)"};
}

}  // namespace auspex::runnerd
