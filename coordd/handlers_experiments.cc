// SPDX-License-Identifier: AGPL-3.0-only
#include <algorithm>
#include <charconv>
#include <map>

#include "common/base/cat.h"
#include "common/json/canonical.h"
#include "common/log/log.h"
#include "coordd/body_reader.h"
#include "coordd/experiment_views.h"
#include "coordd/handlers.h"
#include "coordd/quorum.h"
#include "coordd/reply.h"
#include "coordd/submission.h"
#include "coordd/unit_state.h"

namespace auspex::coordd {
namespace {

// Least replication of a tenant's work, by the tier of its account (6.3); a tenant without an
// account counts as tier 0.
int64_t TenantFloor(Database& db, const std::string& tenant_id) {
  Rows rows = db.Query(
      "SELECT coalesce(a.tier, 0) FROM tenants t LEFT JOIN accounts a USING (account_id) WHERE "
      "t.tenant_id = ?",
      tenant_id);
  const int64_t tier = rows.Next() ? rows.Int(0) : 0;
  return tier <= 0 ? 3 : tier == 1 ? 2 : 1;
}

// name=value&...: only plain characters, which is all that these parameters need. nullopt when
// malformed.
std::optional<std::map<std::string, std::string>> ReadQuery(std::string_view query) {
  std::map<std::string, std::string> out;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    out.emplace(pair.substr(0, equals), pair.substr(equals + 1));
  }
  return out;
}

// An optional positive number of the query; a problem is added when it is none.
std::optional<int64_t> QueryNumber(const std::map<std::string, std::string>& query,
                                   const std::string& name, JsonArray& problems) {
  const auto it = query.find(name);
  if (it == query.end()) return std::nullopt;
  int64_t number = 0;
  const auto [end, error] =
      std::from_chars(it->second.data(), it->second.data() + it->second.size(), number);
  if (error != std::errc() || end != it->second.data() + it->second.size() || number < 1) {
    problems.emplace_back(JsonObject{{"loc", JsonArray{JsonValue("query"), JsonValue(name)}},
                                     {"msg", "Input should be a positive integer"},
                                     {"type", "int_parsing"}});
    return std::nullopt;
  }
  return number;
}

// Moves the experiment and tells its view; 409 when the states do not allow it.
Reply Move(Services& services, const Context& context, std::string_view to) {
  auto found = VisibleExperiment(services, context);
  if (auto* refusal = std::get_if<Reply>(&found)) return std::move(*refusal);
  auto experiment = std::get<ExperimentRow>(std::move(found));
  if (!MayMove(experiment.state, to)) {
    return Error(409, "invalid_state_transition", Cat("the experiment is ", experiment.state),
                 {{"from", experiment.state}, {"to", to}});
  }
  SetExperimentState(services.db, experiment.id, to);
  experiment.state = to;
  services.cursors.Reset();
  services.work_changed();
  LogInfo("experiment_state", {{"experiment", experiment.experiment_id}, {"state", to}});
  return Ok(ExperimentView(experiment));
}

// The same to a state after which nothing of it is to be waited for; `reason` is what results without
// a receipt then say.
Reply End(Services& services, const Context& context, std::string_view to,
          std::string_view reason) {
  Reply reply = Move(services, context, to);
  if (reply.status == 200) {
    const auto experiment = FindExperiment(services.db, context.PathId<ExperimentId>(0));
    if (experiment) EndExperiment(services.db, experiment->id, reason);
  }
  return reply;
}

}  // namespace

Reply HandleCreateExperiment(Services& services, const Context& context) {
  BodyReader in(context.body, context.json_content_type);
  const JsonObject* manifest_object = in.Object("manifest", kRequired);
  const JsonObject* signature = in.Object("signature", kRequired);
  if (!in.ok()) return in.Refusal();
  const JsonValue manifest(*manifest_object);
  auto names = ReadManifestNames(manifest);
  if (auto* refusal = std::get_if<Reply>(&names)) return std::move(*refusal);
  const auto& named = std::get<ManifestNames>(names);
  if (named.tenant.str() != context.caller.tenant_id) {
    return Error(403, "manifest_tenant_mismatch", "the manifest names another tenant");
  }
  const int64_t tenant_floor = TenantFloor(services.db, context.caller.tenant_id);
  const int64_t target = std::max(ReplicationFactor(manifest), tenant_floor);
  const JsonValue* declared = manifest.Find("replication_floor");
  const int64_t wanted = declared != nullptr ? declared->AsInt64().value_or(2) : 2;
  const int64_t floor = std::clamp<int64_t>(std::max(wanted, tenant_floor), 1, target);
  auto prepared =
      PrepareExperiment(services.db, manifest, named, SandboxLevel::kPermissive, target, floor);
  if (auto* refusal = std::get_if<Reply>(&prepared)) return std::move(*refusal);
  auto experiment = std::get<NewExperiment>(std::move(prepared));
  experiment.signature = WriteCanonical(*signature);
  return Ok(ExperimentView(InsertExperiment(services.db, experiment, kSubmitted, context.now)),
            201);
}

Reply HandleGetExperiment(Services& services, const Context& context) {
  auto found = VisibleExperiment(services, context);
  if (auto* refusal = std::get_if<Reply>(&found)) return std::move(*refusal);
  return Ok(ExperimentView(std::get<ExperimentRow>(found)));
}

Reply HandleListExperiments(Services& services, const Context& context) {
  JsonArray out;
  for (const ExperimentRow& experiment : ListExperiments(services.db)) {
    if (context.caller.maintainer() || experiment.tenant_id == context.caller.tenant_id) {
      out.emplace_back(ExperimentView(experiment));
    }
  }
  return Ok(JsonObject{{"experiments", std::move(out)}});
}

Reply HandleApprove(Services& services, const Context& context) {
  const auto query = ReadQuery(context.request.query());
  if (!query) return PlainDetail(422, "malformed query");
  JsonArray problems;
  auto target = QueryNumber(*query, "replication_target", problems);
  const auto floor = QueryNumber(*query, "replication_floor", problems);
  const auto unit_seconds = QueryNumber(*query, "max_unit_duration_seconds", problems);
  const auto max_units = QueryNumber(*query, "max_units", problems);
  const auto concurrent = QueryNumber(*query, "max_concurrent_assignments", problems);
  const auto payload = QueryNumber(*query, "max_payload_bytes", problems);
  if (!problems.empty()) return ValidationRefusal(std::move(problems));
  const auto text = [&](const std::string& name) {
    const auto it = query->find(name);
    return it == query->end() ? std::string() : it->second;
  };
  const std::string policy = text("integrity_policy");
  if (!target && policy == "trusted") target = 1;
  if (!target && policy == "standard") target = 3;
  if (!target && policy == "high") target = 5;

  auto found = VisibleExperiment(services, context);
  if (auto* refusal = std::get_if<Reply>(&found)) return std::move(*refusal);
  const auto& experiment = std::get<ExperimentRow>(found);
  const bool certified = text("certified") == "true";
  if (certified && !experiment.requirements.feature_schema) return NothingToCertify(409);
  const int64_t new_target = target.value_or(experiment.target);
  const bool forced = text("force") == "true" && !text("reason").empty();
  if (new_target < TenantFloor(services.db, experiment.tenant_id) && target && !forced) {
    return Error(409, "sub_floor_integrity_policy",
                 "below the tenant's replication floor without force and reason");
  }
  const int64_t new_floor = std::clamp<int64_t>(floor.value_or(experiment.floor), 1, new_target);
  services.db.Run(
      "UPDATE experiments SET target = ?, floor = ?, max_unit_seconds = coalesce(?, "
      "max_unit_seconds),"
      " max_units = coalesce(?, max_units), max_concurrent = coalesce(?, max_concurrent),"
      " max_payload_octets = coalesce(?, max_payload_octets), certified = certified OR ? WHERE id "
      "= ?",
      new_target, new_floor, unit_seconds, max_units, concurrent, payload, certified,
      experiment.id);
  // Units are submitted to approved experiments, so none has a target of before.
  return Move(services, context, kApproved);
}

Reply HandleArchive(Services& services, const Context& context) {
  return End(services, context, kArchived, "experiment_archived");
}

Reply HandleAbort(Services& services, const Context& context) {
  return End(services, context, kAborted, "experiment_aborted");
}

Reply HandlePauseExperiment(Services& services, const Context& context) {
  return Move(services, context, kPaused);
}

Reply HandleResumeExperiment(Services& services, const Context& context) {
  return Move(services, context, kApproved);
}

Reply HandleFinalize(Services& services, const Context& context) {
  auto found = VisibleExperiment(services, context);
  if (auto* refusal = std::get_if<Reply>(&found)) return std::move(*refusal);
  const auto& experiment = std::get<ExperimentRow>(found);
  if (experiment.state != kApproved && experiment.state != kPaused) {
    return Error(409, "finalize_not_applicable", Cat("the experiment is ", experiment.state));
  }
  services.db.Run("UPDATE experiments SET finalized_at = coalesce(finalized_at, ?) WHERE id = ?",
                  context.now, experiment.id);
  MaybeCompleteExperiment(services, experiment.id, context.now);
  const auto after = FindExperimentByKey(services.db, experiment.id);
  return after ? Ok(ExperimentView(*after)) : InternalError();
}

}  // namespace auspex::coordd
