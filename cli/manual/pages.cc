// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/manual/pages.h"

#include <CLI/CLI.hpp>
#include <vector>

#include "cli/manual/roff.h"
#include "common/base/cat.h"

namespace auspex::cli::manual {
namespace {

constexpr char kExitStatus[] =
    ".SH EXIT STATUS\n.TP\n0\nsuccess, or nothing to do\n.TP\n1\nsomething failed\n.TP\n2\nwrong "
    "usage, or refusal to "
    "start\n";

std::vector<const CLI::App*> VerbsOf(const CLI::App& app) {
  // A filter, even one that keeps all, asks for every verb in place of those that were parsed.
  return app.get_subcommands([](const CLI::App*) { return true; });
}

bool IsPositional(const CLI::Option& option) {
  return option.get_positional() && option.get_lnames().empty() && option.get_snames().empty();
}

std::string OptionTerm(const CLI::Option& option) {
  std::string term;
  if (IsPositional(option)) {
    term = Cat("\\fI", Plain(option.get_single_name()), "\\fR");
  } else {
    for (const std::string& name : option.get_snames())
      term += Cat(term.empty() ? "" : ", ", "\\fB", Plain(Cat("-", name)), "\\fR");
    for (const std::string& name : option.get_lnames())
      term += Cat(term.empty() ? "" : ", ", "\\fB", Plain(Cat("--", name)), "\\fR");
    if (option.get_items_expected_max() > 0)
      term += Cat(" \\fI", Plain(option.get_type_name()), "\\fR");
  }
  return term;
}

std::string Options(const CLI::App& app, bool with_help) {
  std::string out;
  for (const CLI::Option* option : app.get_options([](const CLI::Option*) { return true; })) {
    const bool help = !option->get_lnames().empty() && option->get_lnames()[0] == "help";
    if (help && !with_help) continue;
    std::string text = Plain(option->get_description());
    if (option->get_required() && !IsPositional(*option)) text += " (required)";
    out += Cat(".TP\n", OptionTerm(*option), "\n", text, "\n");
  }
  return out;
}

std::string Synopsis(const CLI::App& verb, const std::string& path) {
  std::string line = Cat("\\fB", Plain(path), "\\fR");
  bool options = false;
  std::string positionals;
  for (const CLI::Option* option : verb.get_options([](const CLI::Option*) { return true; })) {
    if (IsPositional(*option)) {
      const std::string name = Cat("\\fI", Plain(option->get_single_name()), "\\fR");
      const std::string more = option->get_items_expected_max() > 1 ? " ..." : "";
      positionals += option->get_required() ? Cat(" ", name, more) : Cat(" [", name, more, "]");
    } else if (option->get_lnames().empty() || option->get_lnames()[0] != "help") {
      options = true;
    }
  }
  return Cat(line, options ? " [\\fIOPTIONS\\fR]" : "", positionals);
}

std::string Verb(const CLI::App& verb, const std::string& path) {
  std::string out;
  const std::vector<const CLI::App*> verbs = VerbsOf(verb);
  if (verbs.empty()) {
    out = Cat(".SS ", Synopsis(verb, path), "\n", Plain(verb.get_description()), ".\n",
              Options(verb, false));
  } else {
    out = Cat(".SS ", "\\fB", Plain(path), "\\fR \\fIVERB\\fR\n", Plain(verb.get_description()),
              ".\n");
  }
  if (const std::string footer = verb.get_footer(); !footer.empty()) out += Verbatim(footer);
  for (const CLI::App* below : verbs) out += Verb(*below, Cat(path, " ", below->get_name()));
  return out;
}

}  // namespace

std::string CommandPage(const CLI::App& app, std::string_view date) {
  std::string out = Title("auspex", 1, date);
  out += Cat(".SH NAME\nauspex, auspexai\\-worker \\- the owner's command of an Auspex worker\n",
             ".SH SYNOPSIS\n\\fBauspex\\fR [\\fIOPTIONS\\fR] \\fIVERB\\fR [\\fIARGUMENTS\\fR]\n");
  out += Cat(".SH DESCRIPTION\n", Plain(app.get_description()),
             "\nA verb talks to the worker's daemons, each over that daemon's own socket; one that "
             "does not run is started for as long as the verb takes.\n");
  out += Cat(".SH OPTIONS\nThey may stand before or after the verb.\n", Options(app, true));
  out += ".SH VERBS\n";
  for (const CLI::App* verb : VerbsOf(app)) out += Verb(*verb, Cat("auspex ", verb->get_name()));
  out += Cat(".SH EXAMPLES AND EXIT CODES\nAs they stand under \\fBauspex \\-\\-help\\fR:\n",
             Verbatim(app.get_footer()));
  out +=
      Cat(".SH SEE ALSO\n\\fBworker.toml\\fR(5), \\fBauspex\\-keyd\\fR(8), "
          "\\fBauspex\\-stated\\fR(8), ",
          "\\fBauspex\\-netd\\fR(8), \\fBauspex\\-runnerd\\fR(8), \\fBauspex\\-coordd\\fR(8)\n");
  return Tidy(out);
}

std::string ProgramPage(std::string_view name, std::string_view purpose, std::string_view about,
                        std::string_view help, std::string_view date) {
  return Tidy(Cat(Title(name, 8, date), ".SH NAME\n", Plain(name), " \\- ", Plain(purpose), "\n",
                  ".SH SYNOPSIS\n\\fB", Plain(name), "\\fR [\\fIOPTIONS\\fR]\n",
                  ".SH DESCRIPTION\n", Inline(about), "\n.SH OPTIONS\nWhat \\fB", Plain(name),
                  " \\-\\-help\\fR says:\n", Verbatim(help), kExitStatus,
                  ".SH SEE ALSO\n\\fBauspex\\fR(1), \\fBworker.toml\\fR(5)\n"));
}

std::string ConfigurationPage(std::string_view configuration_md, std::string_view date) {
  return Tidy(Cat(Title("worker.toml", 5, date),
                  ".SH NAME\nworker.toml \\- configuration of an Auspex worker\n.SH DESCRIPTION\n",
                  FromMarkdown(configuration_md), ".SH SEE ALSO\n\\fBauspex\\fR(1)\n"));
}

}  // namespace auspex::cli::manual
