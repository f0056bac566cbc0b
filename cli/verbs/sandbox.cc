// SPDX-License-Identifier: AGPL-3.0-only
// sandbox probe: builds the real sandbox and says which layers are in force.
#include "cli/verbs/arguments.h"
#include "cli/worker.h"
#include "common/base/cat.h"

namespace auspex::cli {
namespace {

int RunProbe(Session& session) {
  const Output& output = session.output;
  Worker worker(session);
  // runnerd alone: without stated it is given no unit meanwhile.
  absl::Status need = worker.Need({"runnerd"});
  const absl::StatusOr<runnerd_v1::ProbeResponse> probe = need.ok() ? worker->Probe() : need;
  if (!probe.ok()) {
    output.Error("sandbox", probe.status());
    return kExitFailure;
  }
  if (output.json()) {
    JsonArray layers;
    for (const runnerd_v1::Layer& layer : probe->layers()) {
      layers.emplace_back(JsonObject{{"name", layer.name()},
                                     {"in_force", layer.in_force()},
                                     {"required", layer.required()},
                                     {"remedy", layer.remedy()}});
    }
    output.Json(JsonObject{
        {"ok", probe->ok()}, {"failure", probe->failure()}, {"layers", std::move(layers)}});
    return probe->ok() ? kExitOk : kExitFailure;
  }
  std::vector<std::vector<std::string>> rows;
  for (const runnerd_v1::Layer& layer : probe->layers()) {
    rows.push_back({Clean(layer.name()),
                    layer.in_force()   ? "in force"
                    : layer.required() ? "MISSING"
                                       : "not in force",
                    Clean(layer.remedy())});
  }
  output.Table({"LAYER", "STATE", "WHAT TO DO"}, rows);
  if (!probe->ok()) {
    output.Error("sandbox",
                 probe->failure().empty() ? "a required layer is missing" : probe->failure(),
                 "no tenant code runs on this machine until that is mended");
    return kExitFailure;
  }
  output.Line("the strict sandbox works");
  return kExitOk;
}

}  // namespace

void AddSandboxVerbs(CLI::App& app, Chosen& chosen) {
  CLI::App* sandbox = app.add_subcommand("sandbox", "The isolation that tenant code runs in");
  sandbox->require_subcommand(0, 1);
  CLI::App* probe = sandbox->add_subcommand("probe", "Build it for real and report every layer");
  probe->footer(
      "Exit code 1 when a required layer cannot be put in place.\n\nExample: auspex sandbox probe");
  Runs(probe, chosen, RunProbe);
}

}  // namespace auspex::cli
