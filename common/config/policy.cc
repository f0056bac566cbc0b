// SPDX-License-Identifier: AGPL-3.0-only
#include "common/config/policy.h"

namespace auspex {

ExecutionPolicy PolicyFor(const Config& config, std::string_view tenant_id) {
  const auto own = config.tenant_policies.find(tenant_id);
  return own == config.tenant_policies.end() ? config.execution_policy : own->second;
}

ExecutionPolicy AnnouncedPolicy(const Config& config) {
  const auto holds = [&config](ExecutionPolicy policy) {
    if (config.execution_policy == policy) return true;
    for (const auto& [tenant, own] : config.tenant_policies) {
      if (own == policy) return true;
    }
    return false;
  };
  if (config.use_bubblewrap && holds(ExecutionPolicy::kProvisioned))
    return ExecutionPolicy::kProvisioned;
  return holds(ExecutionPolicy::kSynthetic) ? ExecutionPolicy::kSynthetic : ExecutionPolicy::kOff;
}

}  // namespace auspex
