// SPDX-License-Identifier: AGPL-3.0-only
// Which execution policy holds for whom. Pure functions, any thread.
#ifndef AUSPEX_COMMON_CONFIG_POLICY_H_
#define AUSPEX_COMMON_CONFIG_POLICY_H_

#include <string_view>

#include "common/config/config.h"

namespace auspex {

// The policy for one tenant: its own in [executor.tenants], else the general one.
ExecutionPolicy PolicyFor(const Config& config, std::string_view tenant_id);

// What coordinators are told, one word for all tenants: the most that holds for any of them
// (provisioned, then synthetic, then off), since less would keep work away that the owner wants.
// Without bubblewrap no tenant code runs, and provisioned is not announced.
// Where it says provisioned, a unit of a synthetic tenant must be refused: its echo could pass for
// the execution that was announced.
ExecutionPolicy AnnouncedPolicy(const Config& config);

}  // namespace auspex

#endif  // AUSPEX_COMMON_CONFIG_POLICY_H_
