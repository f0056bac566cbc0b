// SPDX-License-Identifier: AGPL-3.0-only
// The owner's switch for accelerators: which nodes below /dev a unit may open. Functions, any
// thread.
#ifndef AUSPEX_RUNNERD_GPU_H_
#define AUSPEX_RUNNERD_GPU_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/config/config.h"
#include "common/ids/ids.h"

namespace auspex::runnerd {

// Whether any tenant gets any node.
bool GpuIsOn(const Config& config);
// The nodes of gpu.devices when gpu.tenants names the tenant, else none.
std::vector<std::string> DevicesOf(const Config& config, const TenantId& tenant);

// OK when each is a character device and no link; else an error that names the node.
absl::Status CheckNodes(const std::vector<std::string>& paths);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_GPU_H_
