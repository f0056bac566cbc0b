// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/gpu.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "common/base/cat.h"
#include "common/base/errno_status.h"

namespace auspex::runnerd {

bool GpuIsOn(const Config& config) {
  return !config.gpu_devices.empty() && !config.gpu_tenants.empty();
}

std::vector<std::string> DevicesOf(const Config& config, const TenantId& tenant) {
  const auto& tenants = config.gpu_tenants;
  if (std::find(tenants.begin(), tenants.end(), tenant.str()) == tenants.end()) return {};
  return config.gpu_devices;
}

absl::Status CheckNodes(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    struct stat info {};
    if (lstat(path.c_str(), &info) != 0)
      return ErrnoStatus(errno, "look at", Cat("gpu.devices: ", path));
    if (!S_ISCHR(info.st_mode))
      return absl::InvalidArgumentError(Cat("gpu.devices: ", path, " is no character device"));
  }
  return absl::OkStatus();
}

}  // namespace auspex::runnerd
