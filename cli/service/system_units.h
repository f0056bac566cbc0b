// SPDX-License-Identifier: AGPL-3.0-only
// The units of deploy/systemd as they were when this program was built. Safe from any thread.
#ifndef AUSPEX_CLI_SERVICE_SYSTEM_UNITS_H_
#define AUSPEX_CLI_SERVICE_SYSTEM_UNITS_H_

#include <string_view>
#include <vector>

namespace auspex::cli {

struct SystemUnit {
  std::string_view name;  // "auspex-keyd.service"
  std::string_view text;
};

// Sorted by name.
const std::vector<SystemUnit>& SystemUnits();

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_SERVICE_SYSTEM_UNITS_H_
