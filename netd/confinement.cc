// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/confinement.h"

#include "common/base/status_macros.h"
#include "common/ipc/neighbour_view.h"
#include "common/ipc/role_key.h"

namespace auspex {

absl::StatusOr<FileRules> NetdFiles(const Config& config, const Layout& layout) {
  FileRules rules;
  rules.read_only = {"/etc/ssl",
                     "/etc/resolv.conf",
                     "/etc/hosts",
                     "/etc/host.conf",
                     "/etc/nsswitch.conf",
                     "/etc/gai.conf",
                     "/etc/services",
                     "/etc/ld.so.cache",
                     "/etc/localtime",
                     "/usr/share/ca-certificates",
                     "/usr/local/share/ca-certificates",
                     "/usr/share/zoneinfo",
                     "/usr/lib",
                     "/usr/lib64",
                     "/run/systemd/resolve",
                     "/run/resolvconf",
                     "/sys/devices/system/cpu",
                     "/proc/cpuinfo",
                     "/proc/self",
                     "/dev/urandom",
                     "/dev/null"};
  if (!config.ca_file.empty()) rules.read_only.push_back(config.ca_file);
  if (layout.mode() != Layout::Mode::kSystem) {
    for (const std::string& socket :
         {layout.Socket("keyd", "request"), layout.Socket("stated", "net")}) {
      RETURN_IF_ERROR(EnsureRoleKey(socket).status());
      rules.read_only.push_back(RoleFolderOf(socket));
    }
  }
  rules.read_write = {layout.RunDir("netd")};
  return rules;
}

absl::StatusOr<ViewRules> NetdView(const Config& config, const Layout& layout) {
  ASSIGN_OR_RETURN(FileRules files, NetdFiles(config, layout));
  ViewRules rules;
  rules.host_network = true;
  for (std::string& path : files.read_only) {
    if (!path.starts_with("/proc/") && !path.starts_with("/dev/"))
      rules.read_only.push_back(std::move(path));
  }
  // Where libraries that are loaded for a name look-up are sought.
  for (const char* path : {"/lib", "/lib64"}) rules.read_only.emplace_back(path);
  rules.read_write = std::move(files.read_write);
  RETURN_IF_ERROR(ShowNeighbour(layout, "keyd", "request", rules));
  RETURN_IF_ERROR(ShowNeighbour(layout, "stated", "net", rules));
  return rules;
}

}  // namespace auspex
