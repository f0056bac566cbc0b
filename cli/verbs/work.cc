// SPDX-License-Identifier: AGPL-3.0-only
// accept, unpin, refuse, abort, pause, unpause: the owner's word on experiments and units.
#include <algorithm>

#include "cli/verbs/arguments.h"
#include "cli/worker.h"
#include "common/base/cat.h"
#include "common/base/status_macros.h"

namespace auspex::cli {
namespace {

constexpr double kLongestGrace = 600;
constexpr size_t kLongestReason = 2000;

struct UnitOptions {
  std::string unit, experiment, reason = "manual refuse";
  double grace_seconds = 5;
  bool undo = false;
};

int Failed(const Session& session, const char* verb, const absl::Status& status) {
  session.output.Error(verb, status);
  return kExitFailure;
}

// Says what became of an experiment: a JSON document or `words`.
int ReportExperiment(Session& session, const char* verb, const std::string& experiment,
                     const absl::StatusOr<bool>& changed, const char* done, const char* nothing) {
  if (!changed.ok()) return Failed(session, verb, changed.status());
  if (session.output.json()) {
    session.output.Json(JsonObject{{"experiment_id", experiment}, {"changed", *changed}});
  } else {
    session.output.Line(Cat("experiment ", experiment, ": ", *changed ? done : nothing));
  }
  return kExitOk;
}

int RunAccept(Session& session, const UnitOptions& options) {
  Worker worker(session);
  if (absl::Status need = worker.Need({"stated"}); !need.ok())
    return Failed(session, "accept", need);
  if (options.undo) {
    return ReportExperiment(session, "accept", options.experiment,
                            worker->WithdrawAcceptance(options.experiment),
                            "sensitive work is no longer accepted", "was not accepted");
  }
  return ReportExperiment(session, "accept", options.experiment,
                          worker->AcceptExperiment(options.experiment),
                          "sensitive work is accepted", "was accepted already");
}

int RunUnpin(Session& session, const UnitOptions& options) {
  Worker worker(session);
  if (absl::Status need = worker.Need({"stated"}); !need.ok())
    return Failed(session, "unpin", need);
  return ReportExperiment(session, "unpin", options.experiment,
                          worker->ClearPin(options.experiment),
                          "its next unit pins its manifest anew", "had no pin");
}

int RunRefuse(Session& session, const UnitOptions& options) {
  Worker worker(session);
  absl::Status need = worker.Need({"stated"});
  const absl::StatusOr<uint32_t> ended =
      need.ok() ? worker->RefuseUnit(options.unit, options.reason) : need;
  if (!ended.ok()) return Failed(session, "refuse", ended.status());
  if (session.output.json()) {
    session.output.Json(JsonObject{{"unit_id", options.unit}, {"units_ended", *ended}});
  } else if (*ended > 0) {
    session.output.Line(Cat("unit ", options.unit, ": refused; the coordinator is told",
                            worker.daemons().started_any() ? " when the worker runs" : ""));
  } else {
    session.output.Line(
        Cat("unit ", options.unit,
            ": not in hand, so there is nothing to refuse; written down in the log"));
  }
  return kExitOk;
}

// Every unit that was ever offered, or refused by hand, has a row beside those of aborts, which are
// written in every case.
absl::StatusOr<bool> WasOffered(Worker& worker, const std::string& unit) {
  stated_v1::ListAuditRequest request;
  request.set_unit_id(unit);
  request.set_limit(10'000);
  ASSIGN_OR_RETURN(const stated_v1::ListAuditResponse rows, worker->ListAudit(request));
  return std::any_of(rows.rows().begin(), rows.rows().end(), [](const stated_v1::AuditRow& row) {
    return row.action().rfind("abort", 0) != 0;
  });
}

int RunAbort(Session& session, const UnitOptions& options) {
  Worker worker(session);
  if (absl::Status need = worker.Need({"stated"}); !need.ok())
    return Failed(session, "abort", need);
  const absl::StatusOr<bool> known = WasOffered(worker, options.unit);
  if (!known.ok()) return Failed(session, "abort", known.status());
  // Without runnerd no unit runs: it ends all of them when it stops.
  std::string outcome = "abort_not_running", reason = "runnerd does not run";
  if (worker.daemons().Answers("runnerd")) {
    const absl::StatusOr<runnerd_v1::AbortResponse> response =
        worker->Abort(options.unit, options.grace_seconds);
    if (response.ok()) {
      outcome = response->outcome();
      reason = "ended by the owner";
      if (outcome == "abort_not_running") reason = "the unit does not run";
    } else {
      reason = std::string(response.status().message());
      session.output.Warning("abort", reason);
    }
  }
  const absl::StatusOr<bool> recorded =
      worker->RecordAbort(options.unit, outcome, reason.substr(0, kLongestReason));
  if (!recorded.ok()) return Failed(session, "abort", recorded.status());
  if (session.output.json()) {
    session.output.Json(
        JsonObject{{"unit_id", options.unit}, {"outcome", outcome}, {"reason", reason}});
  } else {
    session.output.Line(Cat("unit ", options.unit, ": ", Clean(outcome), " (", Clean(reason), ")"));
  }
  if (*known) return kExitOk;
  session.output.Error("abort", Cat("unit ", options.unit, " is not known to this worker"),
                       Cat(session.output.program(), " queue shows those that are"));
  return kExitFailure;
}

int SetPause(Session& session, bool paused) {
  const char* verb = paused ? "pause" : "unpause";
  Worker worker(session);
  absl::Status need = worker.Need({"stated"});
  const absl::StatusOr<stated_v1::Status> status = need.ok() ? worker->WorkerStatus() : need;
  if (!status.ok()) return Failed(session, verb, status.status());
  if (!status->identity().enrolled()) {
    session.output.Error(verb, "this worker is not enrolled",
                         Cat(session.output.program(), " bootstrap"));
    return kExitFailure;
  }
  const absl::StatusOr<bool> changed = worker->SetSelfPause(paused);
  if (!changed.ok()) return Failed(session, verb, changed.status());
  if (session.output.json()) {
    session.output.Json(JsonObject{{"self_paused", paused}, {"changed", *changed}});
  } else {
    session.output.Line(paused ? "paused: no new units; running ones are finished"
                               : "not paused: units are taken");
  }
  return kExitOk;
}

int RunPause(Session& session) { return SetPause(session, true); }
int RunUnpause(Session& session) { return SetPause(session, false); }

}  // namespace

void AddWorkVerbs(CLI::App& app, Chosen& chosen) {
  auto accept_options = std::make_shared<UnitOptions>();
  CLI::App* accept =
      app.add_subcommand("accept", "Consent to an experiment with sensitive content");
  accept
      ->add_option("experiment", accept_options->experiment,
                   "The coordinator's id of the experiment")
      ->required()
      ->check(IsA<ExperimentId>("EXPERIMENT_ID"));
  accept->add_flag("--undo", accept_options->undo, "Take the consent back");
  accept->footer("Example: auspex accept exp-1a2B3c4D");
  Runs(accept, chosen, accept_options, RunAccept);

  auto unpin_options = std::make_shared<UnitOptions>();
  CLI::App* unpin =
      app.add_subcommand("unpin", "Forget the manifest that an experiment was first seen with");
  unpin
      ->add_option("experiment", unpin_options->experiment,
                   "The coordinator's id of the experiment")
      ->required()
      ->check(IsA<ExperimentId>("EXPERIMENT_ID"));
  unpin->footer("Example: auspex unpin exp-1a2B3c4D");
  Runs(unpin, chosen, unpin_options, RunUnpin);

  auto refuse_options = std::make_shared<UnitOptions>();
  CLI::App* refuse = app.add_subcommand("refuse", "Refuse a unit; the coordinator is told");
  refuse->add_option("unit", refuse_options->unit, "The unit")
      ->required()
      ->check(IsA<UnitId>("UNIT_ID"));
  refuse
      ->add_option("--reason", refuse_options->reason,
                   "Why; the coordinator and the tenant can read it")
      ->capture_default_str();
  refuse->footer("Example: auspex refuse unit-17 --reason 'not on this machine'");
  Runs(refuse, chosen, refuse_options, RunRefuse);

  auto abort_options = std::make_shared<UnitOptions>();
  CLI::App* abort = app.add_subcommand("abort",
                                       "End a running unit at once and refuse it; the coordinator "
                                       "is told. A unit that does not run yet: refuse");
  abort->add_option("unit", abort_options->unit, "The unit")
      ->required()
      ->check(IsA<UnitId>("UNIT_ID"));
  abort
      ->add_option("--grace-seconds", abort_options->grace_seconds,
                   "Between the request to stop and the kill")
      ->check(CLI::Range(0.0, kLongestGrace))
      ->capture_default_str();
  abort->footer("Example: auspex abort unit-17 --grace-seconds 0");
  Runs(abort, chosen, abort_options, RunAbort);

  CLI::App* pause = app.add_subcommand("pause", "Take no new units");
  pause->footer("Example: auspex pause");
  Runs(pause, chosen, RunPause);
  CLI::App* unpause = app.add_subcommand("unpause", "Take units again");
  unpause->footer("Example: auspex unpause");
  Runs(unpause, chosen, RunUnpause);
}

}  // namespace auspex::cli
