// SPDX-License-Identifier: AGPL-3.0-only
// The manual pages of Auspex. What a page says is what the program itself says: the tree of verbs that parses the command line, a
// program's --help, docs/CONFIGURATION.md. Pure functions.
#ifndef AUSPEX_CLI_MANUAL_PAGES_H_
#define AUSPEX_CLI_MANUAL_PAGES_H_

#include <string>
#include <string_view>

namespace CLI {
class App;
}  // namespace CLI

namespace auspex::cli::manual {

// auspex(1), with every verb.
std::string CommandPage(const CLI::App& app, std::string_view date);

// A program of section 8: `purpose` is what its NAME line says, `about` what it is in a paragraph of Markdown, `help` what it prints
// for --help.
std::string ProgramPage(std::string_view name, std::string_view purpose, std::string_view about,
                        std::string_view help, std::string_view date);

// worker.toml(5) from docs/CONFIGURATION.md.
std::string ConfigurationPage(std::string_view configuration_md, std::string_view date);

}  // namespace auspex::cli::manual

#endif  // AUSPEX_CLI_MANUAL_PAGES_H_
