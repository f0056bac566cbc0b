// SPDX-License-Identifier: AGPL-3.0-only
// What a verb gets to work with. Invocation: how the command was called. Session: besides, the
// worker's layout and checked configuration; made before a verb of a worker runs. Owned by Run
// (app.h), one thread.
#ifndef AUSPEX_CLI_SESSION_H_
#define AUSPEX_CLI_SESSION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/output/output.h"
#include "common/config/config.h"
#include "common/paths/layout.h"

namespace auspex::cli {

// The options that every verb takes.
struct Globals {
  std::string home;
  std::string config;
  bool system = false;
  bool json = false;
  bool no_color = false;
  bool verbose = false;
  bool ask_passphrase = false;  // of the sealed key, when keyd is started
};

struct Invocation {
  std::vector<std::string> arguments;  // argv, the program's name included
  Globals globals;
  Output output;
};

struct Session {
  Layout layout;
  Config config;
  Globals globals;
  const Output& output;
};

// Resolves the layout and loads the configuration.
absl::StatusOr<Session> OpenSession(const Invocation& invocation);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_SESSION_H_
