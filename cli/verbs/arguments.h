// SPDX-License-Identifier: AGPL-3.0-only
// Checks of arguments for the parser: text from the command line becomes one of the validated kinds
// or a usage error.
#ifndef AUSPEX_CLI_VERBS_ARGUMENTS_H_
#define AUSPEX_CLI_VERBS_ARGUMENTS_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "cli/output/since.h"
#include "cli/verbs/verbs.h"
#include "common/ids/ids.h"

namespace auspex::cli {

// A validator that accepts what `Id::Parse` accepts; the message says why not.
template <typename Id>
CLI::Validator IsA(const std::string& shown_as) {
  return CLI::Validator(
      [](const std::string& untrusted_text) {
        const absl::StatusOr<Id> id = Id::Parse(untrusted_text);
        return id.ok() ? std::string() : std::string(id.status().message());
      },
      shown_as);
}

// A validator for --since.
inline CLI::Validator IsTime() {
  return CLI::Validator(
      [](const std::string& untrusted_text) {
        if (ParseSince(untrusted_text)) return std::string();
        return "'" + Printable(untrusted_text) +
               "' is no time: YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS[zone]";
      },
      "TIME");
}

// Makes `verb` run `body` with its options.
template <typename Options>
void Runs(CLI::App* verb, Chosen& chosen, std::shared_ptr<Options> options,
          int (*body)(Session&, const Options&)) {
  verb->callback([&chosen, options, body] {
    chosen.verb = [options, body](Session& session) { return body(session, *options); };
  });
}

// The same for a verb without options.
inline void Runs(CLI::App* verb, Chosen& chosen, int (*body)(Session&)) {
  verb->callback([&chosen, body] { chosen.verb = body; });
}

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_VERBS_ARGUMENTS_H_
