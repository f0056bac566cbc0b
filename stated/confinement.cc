// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/confinement.h"

namespace auspex::stated {

FileRules StatedFiles(const Layout& layout) {
  FileRules rules;
  rules.read_write = {layout.StateDir("stated"), layout.RunDir("stated")};
  rules.read_only = {"/etc/localtime", "/usr/share/zoneinfo", "/proc/self",
                     "/proc/meminfo",  "/proc/cpuinfo",       "/sys/devices/system/cpu",
                     "/sys/fs/cgroup", "/dev/urandom",        "/dev/null"};
  return rules;
}

}  // namespace auspex::stated
