// SPDX-License-Identifier: AGPL-3.0-only
// status: what the worker does, and why.
#include <cstdio>
#include <optional>

#include "cli/bootstrap.h"
#include "cli/doctor/check.h"
#include "cli/policies.h"
#include "cli/verbs/arguments.h"
#include "cli/worker.h"
#include "common/base/cat.h"

namespace auspex::cli {
namespace {

Style StyleOf(std::string_view state) {
  if (state == "running" || state == "idle") return Style::kGood;
  if (state == "quarantined" || state == "overheating") return Style::kBad;
  return Style::kWarning;
}

std::string OneDecimal(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

// What keyd runs without; nullopt when it does not answer.
std::optional<std::string> KeydRunsWithout(Worker& worker) {
  if (!worker.daemons().Answers("keyd")) return std::nullopt;
  const absl::StatusOr<keyd_v1::KeyStatus> status = worker->KeyStatus();
  if (!status.ok()) return std::nullopt;
  return MissingLayers(*status);
}

JsonObject ToJson(const Session& session, const stated_v1::Status& status, bool running) {
  const stated_v1::Identity& identity = status.identity();
  JsonObject object;
  object["coordinator"] = session.config.coordinator_url;
  object["state_dir"] = session.layout.StateDir("stated");
  object["enrolled"] = identity.enrolled();
  object["daemons_running"] = running;
  object["state"] = status.state();
  object["state_reason"] = status.state_reason();
  if (identity.enrolled()) {
    object["worker_id"] = identity.worker_id();
    object["trust_tier"] = identity.trust_tier();
    object["public_key"] = identity.public_key_hex();
    object["enrolled_at"] = identity.enrolled_at();
    object["enrolled_with"] = identity.base_url();
    object["account_id"] = identity.account_id();
  }
  if (session.config.flavor) object["flavor"] = *session.config.flavor;
  object["last_heartbeat_at"] = status.last_heartbeat_at();
  object["last_heartbeat_error"] = status.last_heartbeat_error();
  object["last_poll_error"] = status.last_poll_error();
  object["idle_code"] = status.idle_code();
  object["netd_connected"] = status.netd_connected();
  object["slots"] = status.slots();
  object["units"] = JsonObject{{"waiting", status.units_accepted()},
                               {"running", status.units_running()},
                               {"frozen", status.units_frozen()}};
  JsonArray devices, tenants;
  for (const std::string& device : status.gpu_devices()) devices.emplace_back(device);
  for (const std::string& tenant : status.gpu_tenants()) tenants.emplace_back(tenant);
  object["gpu"] = JsonObject{{"devices", std::move(devices)}, {"tenants", std::move(tenants)}};
  object["outbox"] =
      JsonObject{{"results", status.outbox_results()}, {"refusals", status.outbox_refusals()}};
  object["results"] = JsonObject{{"submitted", status.results_submitted()},
                                 {"terminal", status.results_terminal()},
                                 {"experiments", status.experiments()}};
  object["receipts"] = JsonObject{{"waiting", status.receipts_placeholder()},
                                  {"verified", status.receipts_canonical()},
                                  {"none", status.receipts_none()},
                                  {"bad", status.receipts_bad()}};
  object["refusals"] = status.refusals();
  object["self_paused"] = status.self_paused();
  object["hold"] = status.hold_kind().empty()
                       ? JsonValue()
                       : JsonValue(JsonObject{{"kind", status.hold_kind()},
                                              {"reason", status.hold_reason()},
                                              {"at", status.hold_at()}});
  object["thermal"] = status.thermal_state().empty()
                          ? JsonValue()
                          : JsonValue(JsonObject{{"state", status.thermal_state()},
                                                 {"temp_c", status.thermal_temp_c()}});
  object["update"] =
      status.has_latest_release()
          ? JsonValue(JsonObject{{"version", status.latest_release().version()},
                                 {"headline", status.latest_release().headline()},
                                 {"release_url", status.latest_release().release_url()}})
          : JsonValue();
  return object;
}

std::string HoldLine(const stated_v1::Status& status) {
  if (status.hold_kind().empty()) return "";
  std::string line =
      status.hold_kind() == "quarantine" ? "QUARANTINED by the operator" : "PAUSED by the operator";
  if (!status.hold_at().empty()) line += Cat(" since ", Clean(status.hold_at()));
  if (!status.hold_reason().empty()) line += Cat(": ", Clean(status.hold_reason()));
  return line;
}

// "a, b".
template <typename Texts>
std::string ListOf(const Texts& texts) {
  std::string list;
  for (const std::string& text : texts) list += Cat(list.empty() ? "" : ", ", Clean(text));
  return list;
}

// Who gets which devices, as runnerd has it; before it has said anything, as the configuration does.
std::string GpuLine(const stated_v1::Status& status, const Config& config) {
  const bool said = status.slots() > 0;
  const std::string devices = said ? ListOf(status.gpu_devices()) : ListOf(config.gpu_devices);
  const std::string tenants = said ? ListOf(status.gpu_tenants()) : ListOf(config.gpu_tenants);
  return devices.empty() || tenants.empty() ? "off" : Cat(devices, " for units of ", tenants);
}

// A line only when there is something to say.
std::string HardeningLine(const Output& output, const std::string& missing) {
  if (missing.empty()) return "";
  return output.terminal().Paint(
      Cat("keyd runs without ", missing, " (accepted by the configuration)"), Style::kWarning);
}

// "provisioned (acme: off, other-lab: synthetic)".
std::string PolicyLine(const Policies& policies) {
  std::string line = Clean(policies.general), own;
  for (const auto& [tenant, policy] : policies.tenants)
    own += Cat(own.empty() ? "" : ", ", Clean(tenant), ": ", Clean(policy));
  return own.empty() ? line : Cat(line, " (", own, ")");
}

std::string DaemonsLine(const Output& output, bool running) {
  return running ? std::string("running")
                 : Cat("not running (start them with: ", output.program(), " daemon)");
}

void Show(const Session& session, const stated_v1::Status& status, bool running,
          const Policies& policies, const std::string& missing_hardening) {
  const Output& output = session.output;
  const stated_v1::Identity& identity = status.identity();
  std::vector<std::pair<std::string, std::string>> fields = {
      {"coordinator", Clean(session.config.coordinator_url)},
      {"state-dir", Clean(session.layout.StateDir("stated"))}};
  if (!identity.enrolled()) {
    fields.push_back({"identity", "not enrolled"});
    fields.push_back({"state", output.terminal().Paint(Clean(status.state()), Style::kWarning)});
    fields.push_back({"daemons", DaemonsLine(output, running)});
    fields.push_back({"policy", PolicyLine(policies)});
    fields.push_back({"gpu", GpuLine(status, session.config)});
    fields.push_back({"hardening", HardeningLine(output, missing_hardening)});
    output.Fields(fields);
    output.Line(Cat("next: ", output.program(), " bootstrap"));
    return;
  }
  const std::string& key = identity.public_key_hex();
  std::string state = output.terminal().Paint(Clean(status.state()), StyleOf(status.state()));
  if (!status.state_reason().empty()) state += Cat(" (", Clean(status.state_reason()), ")");
  fields.insert(
      fields.end(),
      {{"worker-id", Clean(identity.worker_id())},
       {"enrolled-with",
        NamesAnotherCoordinator(session.config.coordinator_url, identity.base_url())
            ? Cat(Clean(identity.base_url()), " (the configuration names another)")
            : std::string()},
       {"state", state},
       {"daemons", DaemonsLine(output, running)},
       {"tier", Cat("T", identity.trust_tier())},
       {"flavor", session.config.flavor ? Clean(*session.config.flavor) : std::string()},
       {"account", Clean(identity.account_id())},
       {"pubkey", Cat(Clean(key.substr(0, 16)), output.terminal().ellipsis(), " ", Clean(key))},
       {"enrolled-at", Clean(identity.enrolled_at())},
       {"last-beat", Clean(status.last_heartbeat_at())},
       {"beat-error", Clean(status.last_heartbeat_error())},
       {"poll-error", Clean(status.last_poll_error())},
       {"idle", Clean(status.idle_code())},
       {"policy", PolicyLine(policies)},
       {"units", Cat(status.units_running(), " running, ",
                     status.units_frozen() > 0 ? Cat(status.units_frozen(), " of them frozen, ")
                                               : std::string(),
                     status.units_accepted(), " waiting, ", status.slots(), " slots")},
       {"gpu", GpuLine(status, session.config)},
       {"outbox",
        Cat(status.outbox_results(), " results, ", status.outbox_refusals(), " refusals to send")},
       {"progress",
        Cat(status.results_submitted(), " units in ", status.experiments(), " experiments",
            status.results_terminal() > 0 ? Cat("; ", status.results_terminal(), " given up")
                                          : std::string())},
       {"receipts",
        Cat(status.receipts_canonical(), " verified, ", status.receipts_placeholder(), " waiting, ",
            status.receipts_none(), " none, ", status.receipts_bad(), " bad")},
       {"refused", Cat(status.refusals(), " units")},
       {"thermal", status.thermal_state().empty() ? std::string()
                                                  : Cat(OneDecimal(status.thermal_temp_c()), " C, ",
                                                        Clean(status.thermal_state()))},
       {"self-pause",
        status.self_paused() ? Cat("on (", output.program(), " unpause ends it)") : std::string()},
       {"hold", HoldLine(status)},
       {"hardening", HardeningLine(output, missing_hardening)}});
  if (status.has_latest_release()) {
    const auto& release = status.latest_release();
    fields.push_back(
        {"update", Cat(Clean(release.version()), release.headline().empty() ? "" : ": ",
                       Clean(release.headline()), release.release_url().empty() ? "" : " ",
                       Clean(release.release_url()))});
  }
  output.Fields(fields);
}

int RunStatus(Session& session) {
  Worker worker(session);
  absl::Status need = worker.Need({"stated"});
  const absl::StatusOr<stated_v1::Status> status = need.ok() ? worker->WorkerStatus() : need;
  if (!status.ok()) {
    session.output.Error("status", status.status());
    return kExitFailure;
  }
  const bool running = !worker.daemons().started_any();
  const std::optional<std::string> missing = KeydRunsWithout(worker);
  const Policies policies = LookUpPolicies(worker, session);
  if (session.output.json()) {
    JsonObject object = ToJson(session, *status, running);
    object["execution_policy"] = policies.general;
    object["announced_policy"] = policies.announced;
    JsonObject own;
    for (const auto& [tenant, policy] : policies.tenants) own.emplace(tenant, policy);
    object["tenant_policies"] = std::move(own);
    object["missing_hardening"] = missing ? JsonValue(*missing) : JsonValue();
    session.output.Json(std::move(object));
  } else {
    Show(session, *status, running, policies, missing.value_or(""));
  }
  return kExitOk;
}

}  // namespace

void AddStatusVerb(CLI::App& app, Chosen& chosen) {
  CLI::App* status = app.add_subcommand("status", "What the worker does, in one word, and why");
  status->footer(
      "The word is one of not_enrolled, quarantined, paused_by_operator, self_paused, "
      "overheating,\n"
      "load, memory, disk, offline, running, no_runner, idle.\n\nExample: auspex status --json");
  Runs(status, chosen, RunStatus);
}

}  // namespace auspex::cli
