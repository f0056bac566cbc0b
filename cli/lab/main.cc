// SPDX-License-Identifier: AGPL-3.0-only
// auspex-lab: `auspex lab` runs this program with its own arguments, so that the command itself
// needs no network code.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>

#include "cli/app.h"
#include "cli/lab/lab.h"
#include "common/log/log.h"

namespace auspex::cli::lab {
namespace {

int Main(int argc, char** argv) {
  CLI::App app("The lab of auspex; use it as 'auspex lab'.", "auspex");
  Globals globals;
  LabOptions options;
  DeclareGlobals(app, globals);
  DeclareLab(app, options);
  app.require_subcommand(1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // The command has parsed the same line before, with help and all.
    std::fprintf(stderr, "auspex-lab: %s: use it as 'auspex lab'\n", error.what());
    return kExitRefused;
  }
  const Output output("auspex",
                      DetectTerminal(STDOUT_FILENO, globals.no_color, ProcessEnvironment()),
                      globals.json);
  InitLog("auspex-lab", globals.verbose ? LogLevel::kDebug : LogLevel::kWarning);
  return output.Finish(RunLab(output, options));
}

}  // namespace
}  // namespace auspex::cli::lab

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return auspex::cli::lab::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "auspex-lab: internal error: %s\n", error.what());
    return auspex::cli::kExitFailure;
  }
}
