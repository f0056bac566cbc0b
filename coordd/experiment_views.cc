// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/experiment_views.h"

#include "coordd/reply.h"

namespace auspex::coordd {

JsonObject ExperimentView(const ExperimentRow& experiment) {
  JsonObject out{{"experiment_id", experiment.experiment_id},
                 {"tenant_id", experiment.tenant_id},
                 {"label", experiment.label},
                 {"manifest_sha256", experiment.manifest_sha256},
                 {"state", experiment.state},
                 {"replication_target", experiment.target},
                 {"replication_floor", experiment.floor},
                 {"certified", experiment.certified},
                 {"required_sandbox", SandboxWord(experiment.requirements.sandbox)},
                 {"created_at", ZuluTime(experiment.created_at)}};
  if (experiment.finalized_at) out.emplace("finalized_at", ZuluTime(*experiment.finalized_at));
  if (experiment.completed_at) out.emplace("completed_at", ZuluTime(*experiment.completed_at));
  if (experiment.max_units) out.emplace("max_units", *experiment.max_units);
  if (experiment.max_concurrent)
    out.emplace("max_concurrent_assignments", *experiment.max_concurrent);
  if (experiment.max_payload_octets)
    out.emplace("max_payload_bytes", *experiment.max_payload_octets);
  if (experiment.max_unit_seconds)
    out.emplace("max_unit_duration_seconds", *experiment.max_unit_seconds);
  return out;
}

std::variant<ExperimentRow, Reply> VisibleExperiment(Services& services, const Context& context) {
  auto experiment = FindExperiment(services.db, context.PathId<ExperimentId>(0));
  const Caller& caller = context.caller;
  if (!experiment || !(caller.maintainer() || caller.tenant_id == experiment->tenant_id)) {
    return Error(404, "experiment_not_found", "no such experiment");
  }
  return *std::move(experiment);
}

}  // namespace auspex::coordd
