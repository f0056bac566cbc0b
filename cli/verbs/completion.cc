// SPDX-License-Identifier: AGPL-3.0-only
// completion: scripts made from the very tree that parses the command line.
#include "cli/completion.h"

#include "cli/verbs/arguments.h"

namespace auspex::cli {

void AddCompletionVerb(CLI::App& app, Chosen& chosen) {
  CLI::App* verb = app.add_subcommand("completion", "Print a completion script for a shell");
  auto shell = std::make_shared<std::string>();
  verb->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  verb->footer(
      "Example: auspex completion bash > ~/.local/share/bash-completion/completions/auspex");
  verb->callback([&chosen, &app, shell] {
    chosen.special = [&app, shell](const Invocation& invocation) {
      invocation.output.Line(CompletionScript(app, *shell));
      return kExitOk;
    };
  });
}

}  // namespace auspex::cli
