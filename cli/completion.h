// SPDX-License-Identifier: AGPL-3.0-only
// Completion scripts from a CLI11 tree. Pure function.
#ifndef AUSPEX_CLI_COMPLETION_H_
#define AUSPEX_CLI_COMPLETION_H_

#include <string>
#include <string_view>

namespace CLI {
class App;
}  // namespace CLI

namespace auspex::cli {

// `shell` is "bash", "zsh" or "fish". Empty for any other.
std::string CompletionScript(const CLI::App& app, std::string_view shell);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_COMPLETION_H_
