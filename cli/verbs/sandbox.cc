// SPDX-License-Identifier: AGPL-3.0-only
// sandbox probe: builds the real sandbox and says which layers are in force. show: how it is built.
// self-test: tries every way out that the escape suite knows.
#include "cli/verbs/arguments.h"
#include "cli/worker.h"
#include "common/base/cat.h"

namespace auspex::cli {
namespace {

// Name, state and what to do, for a table.
std::vector<std::string> RowOf(const runnerd_v1::Layer& layer) {
  return {Clean(layer.name()),
          layer.in_force()   ? "in force"
          : layer.required() ? "MISSING"
                             : "not in force",
          Clean(layer.remedy())};
}

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
  for (const runnerd_v1::Layer& layer : probe->layers()) rows.push_back(RowOf(layer));
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

JsonArray TextArray(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  JsonArray array;
  for (const std::string& text : texts) array.emplace_back(text);
  return array;
}

std::string Joined(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) joined += (joined.empty() ? "" : " ") + Clean(text);
  return joined;
}

void ShowAsJson(const Output& output, const runnerd_v1::ShowResponse& shown) {
  JsonArray places, calls, limits, layers;
  for (const runnerd_v1::ShownPlace& place : shown.places()) {
    places.emplace_back(JsonObject{{"source", place.source()},
                                   {"destination", place.destination()},
                                   {"reason", place.reason()}});
  }
  for (const runnerd_v1::CallGroup& group : shown.calls()) {
    calls.emplace_back(JsonObject{{"treatment", group.treatment()},
                                  {"names", TextArray(group.names())},
                                  {"reason", group.reason()}});
  }
  for (const runnerd_v1::Limit& limit : shown.limits())
    limits.emplace_back(JsonObject{{"name", limit.name()}, {"value", limit.value()}});
  for (const runnerd_v1::Layer& layer : shown.layers()) {
    layers.emplace_back(JsonObject{{"name", layer.name()},
                                   {"in_force", layer.in_force()},
                                   {"required", layer.required()},
                                   {"remedy", layer.remedy()}});
  }
  output.Json(JsonObject{{"places", std::move(places)},
                         {"calls", std::move(calls)},
                         {"limits", std::move(limits)},
                         {"layers", std::move(layers)},
                         {"gpu_devices", TextArray(shown.gpu_devices())},
                         {"gpu_tenants", TextArray(shown.gpu_tenants())},
                         {"gpu_hsa_override", shown.gpu_hsa_override()}});
}

int RunShow(Session& session) {
  const Output& output = session.output;
  Worker worker(session);
  const absl::Status need = worker.Need({"runnerd"});
  const absl::StatusOr<runnerd_v1::ShowResponse> shown = need.ok() ? worker->ShowSandbox() : need;
  if (!shown.ok()) {
    output.Error("sandbox", shown.status());
    return kExitFailure;
  }
  if (output.json()) {
    ShowAsJson(output, *shown);
    return kExitOk;
  }
  std::vector<std::vector<std::string>> rows;
  for (const runnerd_v1::ShownPlace& place : shown->places()) {
    rows.push_back({Clean(place.source()), Clean(place.destination()), Clean(place.reason())});
  }
  output.Table({"OF THE HOST, READ-ONLY", "INSIDE", "WHY"}, rows);
  output.Line("beside it: /proc and six devices, read-only; /unit and /dev/shm, in memory");
  output.Line("");
  rows.clear();
  for (const runnerd_v1::CallGroup& group : shown->calls())
    rows.push_back({Clean(group.treatment()), Clean(group.reason()), Joined(group.names())});
  output.Table({"CALLS", "WHY", "NAMES"}, rows);
  output.Line("every other call fails with EPERM; one of another architecture kills");
  output.Line("");
  rows.clear();
  for (const runnerd_v1::Limit& limit : shown->limits())
    rows.push_back({Clean(limit.name()), Clean(limit.value())});
  output.Table({"LIMIT OF A UNIT", "VALUE"}, rows);
  output.Line("");
  rows.clear();
  for (const runnerd_v1::Layer& layer : shown->layers()) rows.push_back(RowOf(layer));
  output.Table({"LAYER", "STATE", "WHAT TO DO"}, rows);
  if (shown->gpu_devices().empty() || shown->gpu_tenants().empty()) {
    output.Line("GPU: off");
    return kExitOk;
  }
  const std::string as = shown->gpu_hsa_override().empty()
                             ? ""
                             : Cat(", taken for version ", Clean(shown->gpu_hsa_override()));
  output.Line(
      Cat("GPU: ", Joined(shown->gpu_devices()), " for ", Joined(shown->gpu_tenants()), as));
  return kExitOk;
}

int RunSelfTest(Session& session) {
  const Output& output = session.output;
  Worker worker(session);
  absl::Status status = worker.Need({"runnerd"});
  std::vector<std::vector<std::string>> table;
  JsonArray rows;
  int broken = 0, without = 0;
  if (status.ok()) {
    status = worker->SelfTest([&](const runnerd_v1::SelfTestRow& row) {
      const bool held = row.verdict() == "held", no_limit = row.verdict() == "no-limit";
      if (no_limit) ++without;
      // A word that this command does not know is no good news.
      if (!held && !no_limit) ++broken;
      table.push_back({Clean(row.name()), Clean(row.what()), Clean(row.expected()),
                       Clean(row.seen()),
                       held       ? "held"
                       : no_limit ? "no limit on this host"
                                  : "BROKEN"});
      rows.emplace_back(JsonObject{{"name", row.name()},
                                   {"what", row.what()},
                                   {"expected", row.expected()},
                                   {"seen", row.seen()},
                                   {"verdict", row.verdict()}});
    });
  }
  const bool ok = status.ok() && broken == 0 && !rows.empty();
  const size_t tried = rows.size();
  if (output.json()) {
    output.Json(JsonObject{{"ok", ok},
                           {"failure", status.ok() ? "" : std::string(status.message())},
                           {"rows", std::move(rows)}});
    return ok ? kExitOk : kExitFailure;
  }
  if (!table.empty()) output.Table({"ATTEMPT", "WHAT", "EXPECTED", "SEEN", "VERDICT"}, table);
  if (!status.ok()) {
    output.Error("sandbox", status);
    return kExitFailure;
  }
  if (!ok) {
    output.Error("sandbox", Cat(broken, " of ", tried, " attempts were not held"),
                 "pause this worker (auspex pause) and report the rows that say BROKEN");
    return kExitFailure;
  }
  output.Line(Cat(tried, " attempts, ", tried - static_cast<size_t>(without), " held"));
  if (without > 0)
    output.Line(Cat(without, " need a limit that this host does not give: see sandbox probe"));
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
  CLI::App* show = sandbox->add_subcommand("show", "How it is built, with a reason for each part");
  show->footer(
      "What is shown of the host, which system calls pass, the limits of one unit, the layers as\n"
      "the last probe found them, and who gets a GPU. Starts nothing.\n\nExample: auspex sandbox "
      "show");
  Runs(show, chosen, RunShow);
  CLI::App* self_test =
      sandbox->add_subcommand("self-test", "Try every known way out of it, from inside");
  self_test->footer(
      "Runs the escape suite as a tenant's units would run, and prints for each attempt what must\n"
      "come of it and what did. Nothing of it is signed or sent. Takes about ten seconds; units "
      "go\n"
      "on meanwhile. Exit code 1 when an attempt was not held.\n\nExample: auspex sandbox "
      "self-test --json");
  Runs(self_test, chosen, RunSelfTest);
}

}  // namespace auspex::cli
