// SPDX-License-Identifier: AGPL-3.0-only
// daemon: all four daemons in the foreground.
#include "cli/bootstrap.h"
#include "cli/process/instance_lock.h"
#include "cli/process/supervisor.h"
#include "cli/service/installed.h"
#include "cli/verbs/arguments.h"
#include "cli/worker.h"
#include "common/base/cat.h"
#include "common/cgroup/aside.h"

namespace auspex::cli {
namespace {

// A second daemon is told at once; the short wait is for one that is just ending.
constexpr int kSupervisorLockMs = 300;
// Other commands hold the start lock for moments, a login for minutes.
constexpr int kStartLockMs = 10'000;
// Signals wait for the check of the enrolment.
constexpr double kCheckSeconds = 2;

// runnerd gives its units 5 s to end and then ends them itself, which must not be cut short.
constexpr int kPatienceMs = 10'000;

struct DaemonOptions {
  std::optional<uint64_t> max_ticks;
  bool verbose = false;
};

absl::StatusOr<std::vector<Supervisor::Program>> Programs(const Session& session,
                                                          const DaemonOptions& options) {
  std::vector<Supervisor::Program> programs;
  for (const char* name : {"keyd", "stated", "runnerd", "netd"}) {
    absl::StatusOr<std::string> path = FindProgram(Cat("auspex-", name));
    if (!path.ok()) return path.status();
    Supervisor::Program program{name, *std::move(path), session.layout.Flags()};
    if (session.globals.verbose) program.arguments.push_back("--verbose");
    programs.push_back(std::move(program));
  }
  if (options.max_ticks) {
    Supervisor::Program& netd = programs.back();
    netd.arguments.insert(netd.arguments.end(), {"--max-ticks", Cat(*options.max_ticks)});
    netd.ends_the_run = true;
  }
  return programs;
}

int RunDaemon(Session& session, const DaemonOptions& options) {
  const Output& output = session.output;
  if (ServicesRun(UnitStore(UnitStore::FolderOf(ProcessEnvironment())), session.layout)) {
    output.Error("daemon", "the services of this worker run already (auspex service status)",
                 "use them, or stop them: systemctl --user stop auspex.target");
    return kExitRefused;
  }
  const absl::StatusOr<std::string> folder = CommandRunDir(session.layout);
  if (!folder.ok()) {
    output.Error("daemon", folder.status());
    return kExitRefused;
  }
  const absl::StatusOr<UniqueFd> alone = TakeLock(*folder + "/supervisor.lock", kSupervisorLockMs);
  if (!alone.ok() && !absl::IsFailedPrecondition(alone.status())) {
    output.Error("daemon", alone.status());
    return kExitRefused;
  }
  if (!alone.ok()) {
    output.Error(
        "daemon",
        Cat("a daemon of this worker runs already: ", std::string(alone.status().message())),
        "use that one, or choose another worker with --home");
    return kExitRefused;
  }
  const absl::StatusOr<UniqueFd> start = TakeLock(*folder + "/start.lock", kStartLockMs);
  if (!start.ok()) {
    output.Error("daemon",
                 Cat("another auspex command is at work on this worker: ",
                     std::string(start.status().message())),
                 "wait until it has ended");
    return kExitRefused;
  }
  absl::StatusOr<std::vector<Supervisor::Program>> programs = Programs(session, options);
  if (!programs.ok()) {
    output.Error("daemon", programs.status());
    return kExitRefused;
  }
  std::unique_ptr<Passphrase> passphrase;
  if (session.globals.ask_passphrase) {
    absl::StatusOr<std::unique_ptr<Passphrase>> asked = Passphrase::Ask(false);
    if (!asked.ok()) {
      output.Error("daemon", asked.status());
      return kExitRefused;
    }
    passphrase = *std::move(asked);
    Supervisor::Program& keyd = programs->front();
    keyd.hand_over = [&passphrase] { return passphrase->Pipe(); };
    keyd.handed_as = "AUSPEX_KEYD_PASSPHRASE_FD";
  }
  Supervisor::Options supervise;
  supervise.programs = *std::move(programs);
  supervise.patience_ms = kPatienceMs;
  supervise.check_after = {"keyd", "stated"};
  supervise.check = [&session] {
    Clients clients(session.layout, kCheckSeconds);
    return CheckEnrolment(clients, session.config.coordinator_url);
  };
  supervise.report = [&output](const std::string& event) {
    // Some lines are composed of several; each is cleaned on its own.
    std::string text;
    size_t at = 0;
    while (at <= event.size()) {
      const size_t end = std::min(event.find('\n', at), event.size());
      text += (at == 0 ? "" : "\n") + Clean(std::string_view(event).substr(at, end - at));
      at = end + 1;
    }
    output.Note(Cat(output.program(), ": daemon: ", text));
  };
  // Before anything is started. What it could not do runnerd tells, by what its units go without.
  if (const absl::Status aside = StandAside(); !aside.ok() && session.globals.verbose)
    output.Note(Cat(output.program(),
                    ": daemon: stays in its cgroup: ", Clean(std::string(aside.message()))));
  output.Line(Cat("worker starting; owner sockets in ", Clean(session.layout.RunDir("stated")),
                  " and beside it"));
  std::fflush(stdout);
  return Supervisor(std::move(supervise)).Run();
}

}  // namespace

void AddDaemonVerb(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<DaemonOptions>();
  CLI::App* daemon = app.add_subcommand(
      "daemon", "Run the worker in the foreground: keyd, stated, runnerd and netd");
  daemon->add_option("--max-ticks", options->max_ticks, "End after N rounds of heartbeat and poll")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1'000'000'000}));
  // The existing worker's switch and variable of the same meaning as the global option.
  daemon->add_flag("--verbose", options->verbose, "Show more log lines")
      ->envname("AUSPEXAI_WORKER_VERBOSE");
  daemon->footer(
      "Crashed daemons are started again. SIGTERM or Ctrl-C stops everything in order.\n"
      "Exit code 2: refused to start (not enrolled, wrong key, configuration, another daemon).\n\n"
      "Example: auspex daemon --verbose");
  daemon->callback([&chosen, options] {
    chosen.verb = [options](Session& session) {
      session.globals.verbose = session.globals.verbose || options->verbose;
      return RunDaemon(session, *options);
    };
  });
}

}  // namespace auspex::cli
