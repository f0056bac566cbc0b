// SPDX-License-Identifier: AGPL-3.0-only
// lab: handed to auspex-lab, a program of its own, so that this command needs no network code.
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/lab/options.h"
#include "cli/process/child.h"
#include "cli/verbs/arguments.h"
#include "common/base/cat.h"

namespace auspex::cli {
namespace {

int ExecLab(const Invocation& invocation) {
  const absl::StatusOr<std::string> program = FindProgram("auspex-lab");
  if (!program.ok()) {
    invocation.output.Error("lab", program.status());
    return kExitFailure;
  }
  // The lab parses the same arguments with the same tree.
  std::vector<std::string> arguments = invocation.arguments;
  arguments.front() = *program;
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  execv(program->c_str(), pointers.data());
  invocation.output.Error("lab", Cat("run ", *program, ": ", std::strerror(errno)));
  return kExitFailure;
}

}  // namespace

void AddLabVerb(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<lab::LabOptions>();
  CLI::App* verb = lab::DeclareLab(app, *options);
  // The options live as long as the parser that writes to them.
  verb->callback([&chosen, options] { chosen.special = ExecLab; });
}

}  // namespace auspex::cli
