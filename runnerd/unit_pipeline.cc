// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/unit_pipeline.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include "common/base/cat.h"
#include "common/config/policy.h"
#include "common/ids/ids.h"
#include "common/log/log.h"
#include "runnerd/attestation.h"
#include "runnerd/executor_call.h"
#include "runnerd/executor_output.h"
#include "runnerd/gpu.h"
#include "runnerd/init/protocol.h"
#include "runnerd/init_report.h"
#include "runnerd/sandbox_arguments.h"
#include "runnerd/unit_limits.h"

namespace auspex::runnerd {
namespace {

constexpr double kEchoSeconds = 60;

Refusal Refuse(RefusalKind kind, std::string reason) { return Refusal{kind, std::move(reason)}; }

Refusal SandboxUnavailable(std::string_view why) {
  return Refuse(RefusalKind::kSandboxUnavailable, Cat("sandbox unavailable: ", why));
}

// What an end that was asked for means for the unit. A stop of the worker costs only what had to be
// killed: everything else runs after the next start.
std::variant<Refusal, Withdrawn> EndOf(EndReason reason, bool killed = false) {
  switch (reason) {
    case EndReason::kStopping:
      if (!killed) break;
      return Refuse(RefusalKind::kRunnerFailed, "the worker was stopped while the unit ran");
    case EndReason::kLoad:
      return Refuse(RefusalKind::kRunnerFailed, "load: the machine is busy with other work");
    case EndReason::kMemory:
      return Refuse(RefusalKind::kRunnerFailed, "memory: the machine is short of memory");
    case EndReason::kDisk:
      return Refuse(RefusalKind::kRunnerFailed, "disk: the machine is short of free disk");
    case EndReason::kAborted:
      return Refuse(RefusalKind::kRunnerFailed, "aborted by the owner");
    case EndReason::kThermal:
      return Refuse(RefusalKind::kThermalCritical,
                    "temperature became critical while the unit ran");
    case EndReason::kFrozenTooLong:
      return Refuse(RefusalKind::kRunnerFailed,
                    "the machine did not have room for the unit for longer than the owner's "
                    "governor.max_frozen_seconds");
    case EndReason::kNone:
    case EndReason::kEnded:
      break;
  }
  return Withdrawn{};
}

// What a manifest says that this release cannot give (6.3); nullopt: nothing.
std::optional<Refusal> UnmetDemand(const Unit& unit, const Manifest& manifest) {
  const auto refused = [](std::string reason) {
    return Refuse(RefusalKind::kExecutorRefused, std::move(reason));
  };
  // The digest alone says what runs; these say for whom. A package of somebody else is not run in
  // this tenant's name.
  if (manifest.tenant_id != unit.tenant_id) {
    return refused(Cat("the manifest is tenant ", manifest.tenant_id.str(), "'s, the unit is ",
                       unit.tenant_id.str(), "'s"));
  }
  if (manifest.experiment_id != unit.experiment_label) {
    return refused(Cat("the manifest is of experiment ", manifest.experiment_id.str(),
                       ", the unit of ", unit.experiment_label.str()));
  }
  if (!manifest.sensitive_flags.empty() && !unit.sensitive_accepted) {
    return Refuse(RefusalKind::kSensitive,
                  Cat("the manifest declares sensitive content (",
                      Printable(manifest.sensitive_flags[0]), ") that the owner has not accepted"));
  }
  if (manifest.serving_version_pin) {
    return refused(Cat("serving_version_mismatch: the manifest pins ",
                       Printable(*manifest.serving_version_pin),
                       " and this release serves no models"));
  }
  if (manifest.models.size() > 1) return refused("the manifest names more than one model");
  for (const Manifest::Model& model : manifest.models) {
    if (!ModelId::Parse(model.id).ok())
      return refused(Cat("the manifest's model id '", Printable(model.id), "' is not usable"));
    if (model.local_weights_required) {
      return refused(Cat("the manifest requires the weights of model ", Printable(model.id),
                         " and this release serves no models"));
    }
  }
  return std::nullopt;
}

// A limit as the owner wrote it: "600", "0.3".
std::string Seconds(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", seconds);
  return text;
}

// The reason for a unit whose executor did not bring an output.
std::string FailureReason(const InitReport& report, const std::string& tail) {
  const std::string said = tail.empty() ? "" : Cat("; its error output ends: ", tail);
  switch (report.kind) {
    case InitReport::Kind::kExited:
      if (report.output == unit_init::kOutputTooManyFiles) {
        return Cat("executor made more than ", report.number,
                   " files in its scratch and was killed", said);
      }
      if (report.number != 0) return Cat("executor exited with status ", report.number, said);
      return Cat("executor output file: ", report.output, said);
    case InitReport::Kind::kSignaled:
      return Cat("executor was ended by signal ", report.number, said);
    case InitReport::Kind::kFailed:
      return Cat("executor could not be started: ", strerror(report.number), said);
    case InitReport::Kind::kNotStarted:
    case InitReport::Kind::kUnfinished:
    case InitReport::Kind::kWalls:
      break;
  }
  return Cat("the sandbox ended before the executor did", said);
}

// What a unit used, for the owner's log.
void LogUsage(const Unit& unit, const RunOutcome& outcome) {
  const CgroupUsage& usage = outcome.usage;
  LogInfo("unit_usage",
          {{"unit", unit.unit_id.str()},
           {"cpu_micros", usage.cpu_micros ? Cat(*usage.cpu_micros) : "unknown"},
           {"memory_peak", usage.memory_peak_octets ? Cat(*usage.memory_peak_octets) : "unknown"},
           {"out_of_memory", usage.out_of_memory},
           {"processes_refused", usage.processes_refused},
           {"frozen_seconds", Seconds(outcome.frozen_seconds)}});
}

}  // namespace

std::string UnitPipeline::ReasonForCoordinator(std::string reason) const {
  const absl::StatusOr<Config> config = parts_.load_config();
  for (const auto& [path, word] :
       {std::pair(parts_.host.state_dir, "(state)"),
        std::pair(config.ok() ? config->provisioning_dir : "", "(staged)")}) {
    for (size_t at = 0; !path.empty() && (at = reason.find(path, at)) != std::string::npos;)
      reason.replace(at, path.size(), word);
  }
  return CleanReason(reason);
}

UnitOutcome UnitPipeline::Run(const Unit& unit, RunControl& control) {
  Step step = RunByPolicy(unit, control);
  control.Finish();
  if (auto* refusal = std::get_if<Refusal>(&step)) {
    refusal->reason = ReasonForCoordinator(std::move(refusal->reason));
    return std::move(*refusal);
  }
  if (std::holds_alternative<Withdrawn>(step)) return Withdrawn{};
  absl::StatusOr<SignedResult> result =
      parts_.signer.Sign(unit, std::get<UnitResult>(step), control);
  if (result.ok()) return *std::move(result);
  if (control.requested()) {
    return std::visit([](auto end) -> UnitOutcome { return end; }, EndOf(control.reason()));
  }
  return Refuse(
      RefusalKind::kRunnerFailed,
      CleanReason(Cat("the result could not be signed: ", std::string(result.status().message()))));
}

std::vector<std::string> UnitPipeline::DevicesFor(const Unit& unit) const {
  const absl::StatusOr<Config> config = parts_.load_config();
  // The built-in echo opens none.
  if (!config.ok() || !config->use_bubblewrap ||
      PolicyFor(*config, unit.tenant_id.str()) != ExecutionPolicy::kProvisioned) {
    return {};
  }
  return DevicesOf(*config, unit.tenant_id);
}

UnitPipeline::Step UnitPipeline::RunByPolicy(const Unit& unit, RunControl& control) {
  // It waited for too long, or was ended while it did.
  if (control.requested())
    return std::visit([](auto end) -> Step { return end; }, EndOf(control.reason()));
  if (parts_.thermal.Measure().state == ThermalState::kCritical) {
    return Refuse(RefusalKind::kThermalCritical, "temperature is critical");
  }
  const absl::StatusOr<Config> config = parts_.load_config();
  if (!config.ok()) {
    // An owner whose settings cannot be read has not allowed anything.
    return Refuse(RefusalKind::kExecutorRefused,
                  "execute_tenant_code=off: the owner's settings could not be read");
  }
  const std::string& tenant = unit.tenant_id.str();
  switch (PolicyFor(*config, tenant)) {
    case ExecutionPolicy::kSynthetic:
      if (AnnouncedPolicy(*config) == ExecutionPolicy::kProvisioned) {
        return Refuse(RefusalKind::kExecutorRefused,
                      Cat("execute_tenant_code=synthetic for tenant ", tenant,
                          " on a worker that announces provisioned: an echo could pass for real "
                          "work"));
      }
      return RunEcho(unit, *config, control);
    case ExecutionPolicy::kProvisioned:
      return RunTenant(unit, *config, control);
    case ExecutionPolicy::kOff:
      break;
  }
  return Refuse(RefusalKind::kExecutorRefused,
                config->tenant_policies.contains(tenant)
                    ? Cat("execute_tenant_code=off for tenant ", tenant)
                    : "execute_tenant_code=off: the owner runs no units");
}

UnitPipeline::Step UnitPipeline::RunEcho(const Unit& unit, const Config& config,
                                         RunControl& control) {
  RunRequest request;
  request.wall_seconds = kEchoSeconds;
  request.max_report_octets = 2 * unit.canonical_payload.size() + 4096;
  if (!config.use_bubblewrap) {
    // Our own program and the unit's payload as plain octets: nothing of a tenant's runs.
    request.arguments = {parts_.host.unit_init, "--echo"};
    return RunAndRead(std::move(request), unit.canonical_payload, unit, false, control);
  }
  if (const ProbeResult probe = parts_.isolation.Ensure(); !probe.ok)
    return SandboxUnavailable(probe.failure);
  if (const auto missing = MissingCgroup(config, parts_.host.cgroups))
    return SandboxUnavailable(*missing);
  const absl::Status put = PutIntoSandbox(parts_.host, EchoSandbox(), request);
  if (!put.ok()) return SandboxUnavailable(std::string(put.message()));
  ApplyLimits(config, request);
  return RunAndRead(std::move(request), unit.canonical_payload, unit, false, control);
}

UnitPipeline::Step UnitPipeline::RunTenant(const Unit& unit, const Config& config,
                                           RunControl& control) {
  if (!config.use_bubblewrap) {
    return SandboxUnavailable(
        "layer bubblewrap is switched off (sandbox.use_bubblewrap=false) and tenant code runs only "
        "inside it");
  }
  // Before the package: archives are taken apart in a sandbox too.
  if (const ProbeResult probe = parts_.isolation.Ensure(); !probe.ok)
    return SandboxUnavailable(probe.failure);
  if (const auto missing = MissingCgroup(config, parts_.host.cgroups))
    return SandboxUnavailable(*missing);
  std::variant<Package, Refusal> resolved = parts_.packages.Resolve(unit, config, control);
  if (control.requested()) {
    return std::visit([](auto end) -> Step { return end; }, EndOf(control.reason()));
  }
  if (auto* refusal = std::get_if<Refusal>(&resolved)) return std::move(*refusal);
  const Package& package = std::get<Package>(resolved);
  if (std::optional<Refusal> refusal = UnmetDemand(unit, package.manifest))
    return *std::move(refusal);
  // A package may have been on its way for minutes. What the owner says by now counts.
  const absl::StatusOr<Config> now = parts_.load_config();
  if (!now.ok() || PolicyFor(*now, unit.tenant_id.str()) != ExecutionPolicy::kProvisioned ||
      !now->use_bubblewrap) {
    return Refuse(RefusalKind::kExecutorRefused,
                  "execute_tenant_code: the owner's settings changed before the unit could start");
  }
  absl::StatusOr<SandboxSpec> spec =
      TenantSandbox(unit, package.manifest, package.folder.get(), *now);
  if (!spec.ok())
    return Refuse(RefusalKind::kExecutorRefused, std::string(spec.status().message()));
  // What the audit row says at most, and what the owner still says.
  for (const std::string& device : DevicesOf(*now, unit.tenant_id)) {
    if (std::find(unit.devices.begin(), unit.devices.end(), device) != unit.devices.end())
      spec->devices.push_back(device);
  }
  if (const absl::Status nodes = CheckNodes(spec->devices); !nodes.ok())
    return Refuse(RefusalKind::kExecutorRefused, std::string(nodes.message()));
  if (!spec->devices.empty() && now->gpu_hsa_override)
    spec->environment.emplace_back("HSA_OVERRIDE_GFX_VERSION", *now->gpu_hsa_override);
  RunRequest request;
  const absl::Status put = PutIntoSandbox(parts_.host, *spec, request);
  if (!put.ok()) return SandboxUnavailable(std::string(put.message()));
  request.wall_seconds = WallSeconds(*now);
  ApplyLimits(*now, request);
  request.max_report_octets = static_cast<size_t>(now->output_max_kb) * 1024 + 4096;
  return RunAndRead(std::move(request), ExecutorInput(unit), unit, package.manifest.capture_raw,
                    control);
}

UnitPipeline::Step UnitPipeline::RunAndRead(RunRequest request, std::string_view input,
                                            const Unit& unit, bool capture_raw,
                                            RunControl& control) {
  const bool sandboxed = request.seccomp != nullptr;
  absl::StatusOr<UniqueFd> input_file = MemoryFile(input);
  if (!input_file.ok())
    return Refuse(RefusalKind::kRunnerFailed, std::string(input_file.status().message()));
  request.input_fd = input_file->get();
  if (!control.BeginExecutor())
    return std::visit([](auto end) -> Step { return end; }, EndOf(control.reason()));
  absl::StatusOr<RunOutcome> outcome = RunProcessTree(request, control);
  control.EndExecutor();
  if (!outcome.ok()) return SandboxUnavailable(std::string(outcome.status().message()));
  if (outcome->usage.cpu_micros) LogUsage(unit, *outcome);
  const bool asked = outcome->end == RunOutcome::End::kRequested;
  if (asked) {
    // Aborted or ended: what the executor may still have written does not count.
    return std::visit([](auto end) -> Step { return end; }, EndOf(control.reason(), true));
  }
  if (outcome->end == RunOutcome::End::kDeadline) {
    return Refuse(
        RefusalKind::kRunnerFailed,
        Cat("executor ran over its limit of ", Seconds(request.wall_seconds), " s and was killed"));
  }
  absl::StatusOr<InitReport> report = ParseInitReport(outcome->report);
  if (!report.ok() || outcome->report_overflow) {
    return Refuse(RefusalKind::kRunnerFailed, report.ok() ? "sandbox report: too large"
                                                          : std::string(report.status().message()));
  }
  const bool has_output =
      report->kind == InitReport::Kind::kExited && report->output == unit_init::kOutputOk;
  if (!has_output) {
    if (auto limit = EndedByLimit(outcome->usage, request.limits))
      return Refuse(RefusalKind::kRunnerFailed, *std::move(limit));
  }
  if (report->kind == InitReport::Kind::kNotStarted) {
    return SandboxUnavailable(
        Cat("layer bubblewrap: the sandbox could not be built: ", outcome->stderr_tail));
  }
  if (report->kind == InitReport::Kind::kWalls) {
    return SandboxUnavailable(
        Cat("layer ", report->output, " is not in force in the unit's own sandbox"));
  }
  // Whatever came of it: a unit that was not behind every wall is no unit of ours.
  if (sandboxed) {
    if (const absl::Status strict = JudgeFacts(report->facts, LookOutside()); !strict.ok())
      return SandboxUnavailable(std::string(strict.message()));
  }
  if (!has_output) {
    return Refuse(RefusalKind::kRunnerFailed, Cat(FailureReason(*report, outcome->stderr_tail),
                                                  AlsoMetLimit(outcome->usage, request.limits)));
  }
  absl::StatusOr<UnitResult> result =
      ParseExecutorOutput(report->content, unit.unit_id, capture_raw, parts_.clock.NowMicros());
  if (!result.ok())
    return Refuse(RefusalKind::kRunnerFailed, std::string(result.status().message()));
  result->ran_under = sandboxed ? "strict" : "permissive";
  return *std::move(result);
}

}  // namespace auspex::runnerd
