// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/app.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>

#include "cli/verbs/verbs.h"
#include "cli/version.h"
#include "common/base/cat.h"
#include "common/log/log.h"

namespace auspex::cli {
namespace {

constexpr char kCompatibleName[] = "auspexai-worker";

constexpr char kExamples[] = R"(Examples:
  auspex bootstrap                 make a key and enrol this machine with the coordinator
  auspex daemon                    run the worker in the foreground
  auspex service install           run it as services of your own service manager
  auspex status                    what the worker does, and why it does or does not work
  auspex log --since 2026-01-01    what it did
  auspex receipts list             what it gets credit for
  auspex lab                       a whole network on this machine, with a real experiment
  auspex --home /tmp/w status      the worker that lives below /tmp/w

Exit codes: 0 success or nothing to do, 1 something failed, 2 wrong usage or refusal to start.)";

std::string NameOf(const char* path) {
  std::string name(path == nullptr ? "auspex" : path);
  const size_t slash = name.rfind('/');
  if (slash != std::string::npos) name.erase(0, slash + 1);
  return name == kCompatibleName ? name : "auspex";
}

// The innermost verb or group that was named.
const CLI::App* Innermost(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  return at;
}

// "auspex tenant allow".
std::string PathOf(const CLI::App* verb) {
  std::string path = verb->get_name();
  for (const CLI::App* up = verb->get_parent(); up != nullptr; up = up->get_parent()) {
    path = Cat(up->get_name(), " ", path);
  }
  return path;
}

int RunChosen(const CLI::App& app, const Chosen& chosen, const Invocation& invocation) {
  const Output& output = invocation.output;
  if (chosen.special) return chosen.special(invocation);
  if (!chosen.verb) {
    // A group (or nothing) named without a verb: its help, as wrong usage.
    const CLI::App* group = Innermost(app);
    std::fputs(group->help(group == &app ? "" : PathOf(group->get_parent())).c_str(), stderr);
    return kExitRefused;
  }
  absl::StatusOr<Session> session = OpenSession(invocation);
  if (!session.ok()) {
    output.Error("configuration", session.status(),
                 "correct the setting, or name another place with --home or --config");
    return kExitRefused;
  }
  return chosen.verb(*session);
}

int ParseAndRun(int argc, char** argv) {
  const std::string name = NameOf(argc > 0 ? argv[0] : nullptr);
  CLI::App app("Volunteer-compute worker for AI-safety research.", name);
  Globals globals;
  Chosen chosen;
  BuildTree(app, globals, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const CLI::App* verb = Innermost(app);
    std::fputs(verb->help(verb == &app ? "" : PathOf(verb->get_parent())).c_str(), stdout);
    return std::fflush(stdout) == 0 ? kExitOk : kExitFailure;
  } catch (const CLI::CallForVersion&) {
    std::puts(name == kCompatibleName ? Cat(name, ", version ", kVersion).c_str()
                                      : Cat(name, " ", kVersion).c_str());
    return std::fflush(stdout) == 0 ? kExitOk : kExitFailure;
  } catch (const CLI::ParseError& error) {
    const CLI::App* verb = Innermost(app);
    const Output output(name, DetectTerminal(STDOUT_FILENO, globals.no_color, ProcessEnvironment()),
                        false);
    const std::string path = PathOf(verb);
    const bool at_top = verb == &app;
    output.Error(at_top ? "usage" : path.substr(name.size() + 1), error.what(),
                 Cat("'", path, " --help' shows what it takes"));
    return kExitRefused;
  }
  Invocation invocation{
      std::vector<std::string>(argv, argv + argc), globals,
      Output(name, DetectTerminal(STDOUT_FILENO, globals.no_color, ProcessEnvironment()),
             globals.json)};
  InitLog(name, globals.verbose ? LogLevel::kDebug : LogLevel::kWarning);
  return invocation.output.Finish(RunChosen(app, chosen, invocation));
}

}  // namespace

void DeclareGlobals(CLI::App& app, Globals& globals) {
  // Verbs take them after their name too.
  app.fallthrough();
  app.set_help_flag("-h,--help", "Show this help");
  app.set_version_flag("--version", std::string(kVersion), "Show the version");
  app.add_option("--home", globals.home,
                 "Keep everything of this worker below DIR (or AUSPEX_HOME)")
      ->type_name("DIR");
  app.add_flag("--system", globals.system, "The worker of the system services");
  app.add_option("--config", globals.config, "Read this configuration and no other")
      ->type_name("FILE");
  app.add_flag("--json", globals.json, "Print one JSON document");
  app.add_flag("--no-color", globals.no_color, "No colour (also: NO_COLOR)");
  app.add_flag("-v,--verbose", globals.verbose, "Show log lines");
  app.add_flag("--ask-passphrase", globals.ask_passphrase,
               "Ask for the passphrase that seals the key, when keyd is started");
}

void BuildTree(CLI::App& app, Globals& globals, Chosen& chosen) {
  DeclareGlobals(app, globals);
  app.require_subcommand(0, 1);

  AddIdentityVerbs(app, chosen);
  AddStatusVerb(app, chosen);
  AddDoctorVerb(app, chosen);
  AddDaemonVerb(app, chosen);
  AddServiceVerbs(app, chosen);
  AddWorkVerbs(app, chosen);
  AddHistoryVerbs(app, chosen);
  AddTenantVerbs(app, chosen);
  AddReceiptVerbs(app, chosen);
  AddPackageVerbs(app, chosen);
  AddSandboxVerbs(app, chosen);
  AddAuditVerbs(app, chosen);
  AddLabVerb(app, chosen);
  AddCompletionVerb(app, chosen);
  // Last: verbs inherit what is set before they are added.
  app.footer(kExamples);
}

int Run(int argc, char** argv) {
  // A reader that went away is an error of the write, not the end of the process: daemons are to be
  // stopped in order.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return ParseAndRun(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "auspex: internal error: %s\n", error.what());
    return kExitFailure;
  }
}

}  // namespace auspex::cli
