// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/policies.h"

#include "common/config/policy.h"

namespace auspex::cli {

const std::string& Policies::For(const std::string& tenant) const {
  const auto own = tenants.find(tenant);
  return own == tenants.end() ? general : own->second;
}

Policies LookUpPolicies(Worker& worker, const Session& session) {
  Policies policies;
  if (worker.daemons().Answers("runnerd")) {
    const absl::StatusOr<runnerd_v1::SandboxStatus> status = worker->SandboxStatus();
    if (status.ok()) {
      policies.general = status->execution_policy();
      policies.announced = status->announced_policy();
      policies.tenants.insert(status->tenant_policies().begin(), status->tenant_policies().end());
      return policies;
    }
  }
  policies.general = ExecutionPolicyWord(session.config.execution_policy);
  policies.announced = ExecutionPolicyWord(AnnouncedPolicy(session.config));
  for (const auto& [tenant, policy] : session.config.tenant_policies)
    policies.tenants.emplace(tenant, ExecutionPolicyWord(policy));
  return policies;
}

}  // namespace auspex::cli
