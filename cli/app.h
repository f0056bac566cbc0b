// SPDX-License-Identifier: AGPL-3.0-only
// The command as a whole: builds the tree of verbs, parses, runs the chosen one.
#ifndef AUSPEX_CLI_APP_H_
#define AUSPEX_CLI_APP_H_

#include <functional>
#include <string>

#include "cli/session.h"

namespace CLI {
class App;
}  // namespace CLI

namespace auspex::cli {

// What parsing found to do: one of the two is set, or none when no verb was named.
struct Chosen {
  std::function<int(Session&)> verb;              // needs layout and configuration
  std::function<int(const Invocation&)> special;  // does not: completion, lab
};

// The options that every verb takes.
void DeclareGlobals(CLI::App& app, Globals& globals);

// Declares the global options and every verb. Callbacks of the verbs set `chosen`. The objects must
// outlive `app`.
void BuildTree(CLI::App& app, Globals& globals, Chosen& chosen);

// The whole command. Returns the exit code; throws nothing.
int Run(int argc, char** argv);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_APP_H_
