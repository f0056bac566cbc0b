// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/session.h"

#include "common/base/status_macros.h"

namespace auspex::cli {

absl::StatusOr<Session> OpenSession(const Invocation& invocation) {
  const Environment env = ProcessEnvironment();
  Layout::Choice choice;
  choice.home = invocation.globals.home;
  choice.system = invocation.globals.system;
  choice.config = invocation.globals.config;
  ASSIGN_OR_RETURN(Layout layout, Layout::Resolve(choice, env));
  ASSIGN_OR_RETURN(Config config, LoadConfig(layout, env));
  return Session{std::move(layout), std::move(config), invocation.globals, invocation.output};
}

}  // namespace auspex::cli
