// SPDX-License-Identifier: AGPL-3.0-only
// tenant: whose work runs here.
#include "cli/policies.h"
#include "cli/verbs/arguments.h"
#include "cli/worker.h"
#include "common/base/cat.h"

namespace auspex::cli {
namespace {

struct TenantOptions {
  std::string tenant;
};

using Change = absl::StatusOr<bool> (Clients::*)(const std::string&);

int Apply(Session& session, const TenantOptions& options, Change change, const char* done,
          const char* was) {
  Worker worker(session);
  absl::Status need = worker.Need({"stated"});
  const absl::StatusOr<bool> changed =
      need.ok() ? (worker.clients().*change)(options.tenant) : need;
  if (!changed.ok()) {
    session.output.Error("tenant", changed.status());
    return kExitFailure;
  }
  if (session.output.json()) {
    session.output.Json(JsonObject{{"tenant_id", options.tenant}, {"changed", *changed}});
  } else {
    session.output.Line(Cat("tenant ", options.tenant, ": ", *changed ? done : was));
  }
  return kExitOk;
}

int RunAllow(Session& session, const TenantOptions& options) {
  return Apply(session, options, &Clients::AllowTenant, "allowed", "was allowed already");
}
int RunDeny(Session& session, const TenantOptions& options) {
  return Apply(session, options, &Clients::DenyTenant, "denied", "was denied already");
}
int RunForget(Session& session, const TenantOptions& options) {
  return Apply(session, options, &Clients::ForgetTenant, "taken off both lists", "was on no list");
}

int RunList(Session& session) {
  Worker worker(session);
  absl::Status need = worker.Need({"stated"});
  const absl::StatusOr<stated_v1::ListTenantsResponse> lists =
      need.ok() ? worker->ListTenants() : need;
  if (!lists.ok()) {
    session.output.Error("tenant", lists.status());
    return kExitFailure;
  }
  const Policies policies = LookUpPolicies(worker, session);
  if (session.output.json()) {
    JsonArray allowed(lists->allowed().begin(), lists->allowed().end());
    JsonArray denied(lists->denied().begin(), lists->denied().end());
    JsonObject own;
    for (const auto& [tenant, policy] : policies.tenants) own.emplace(tenant, policy);
    session.output.Json(JsonObject{{"allowed", std::move(allowed)},
                                   {"denied", std::move(denied)},
                                   {"execution_policy", policies.general},
                                   {"announced_policy", policies.announced},
                                   {"tenant_policies", std::move(own)}});
    return kExitOk;
  }
  const auto line = [&](const std::string& tenant) {
    session.output.Line(Cat("  ", Clean(tenant), "  ", Clean(policies.For(tenant))));
  };
  session.output.Line("allowed:");
  if (lists->allowed().empty())
    session.output.Line("  (none: every tenant that is not denied may send work)");
  for (const std::string& id : lists->allowed()) line(id);
  session.output.Line("denied:");
  if (lists->denied().empty()) session.output.Line("  (none)");
  for (const std::string& id : lists->denied()) session.output.Line(Cat("  ", Clean(id)));
  session.output.Line("execution policy:");
  for (const auto& [tenant, policy] : policies.tenants) line(tenant);
  session.output.Line(Cat("  ", policies.tenants.empty() ? "every tenant" : "every other tenant",
                          "  ", Clean(policies.general)));
  if (policies.announced != policies.general)
    session.output.Line(Cat("  (announced to the coordinator: ", Clean(policies.announced), ")"));
  return kExitOk;
}

}  // namespace

void AddTenantVerbs(CLI::App& app, Chosen& chosen) {
  CLI::App* tenant = app.add_subcommand("tenant", "Whose work runs here; deny wins over allow");
  tenant->require_subcommand(0, 1);
  struct Entry {
    const char* name;
    const char* help;
    int (*body)(Session&, const TenantOptions&);
  };
  for (const Entry& entry : {Entry{"allow", "Put a tenant on the allow list", RunAllow},
                             Entry{"deny", "Put a tenant on the deny list", RunDeny},
                             Entry{"forget", "Take a tenant off both lists", RunForget}}) {
    auto options = std::make_shared<TenantOptions>();
    CLI::App* verb = tenant->add_subcommand(entry.name, entry.help);
    verb->add_option("tenant", options->tenant, "The tenant")
        ->required()
        ->check(IsA<TenantId>("TENANT_ID"));
    verb->footer(Cat("Example: auspex tenant ", entry.name, " some-lab"));
    Runs(verb, chosen, options, entry.body);
  }
  CLI::App* list =
      tenant->add_subcommand("list", "Both lists, and the execution policy of each tenant");
  list->footer("Example: auspex tenant list --json");
  Runs(list, chosen, RunList);
}

}  // namespace auspex::cli
