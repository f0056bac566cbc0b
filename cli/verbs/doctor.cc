// SPDX-License-Identifier: AGPL-3.0-only
// doctor: everything that may be wrong with this worker, one line each, with what to do.
#include <algorithm>

#include "cli/doctor/check.h"
#include "cli/verbs/arguments.h"
#include "common/base/cat.h"

namespace auspex::cli {
namespace {

Style StyleOf(Health health) {
  return health == Health::kOk        ? Style::kGood
         : health == Health::kWarning ? Style::kWarning
                                      : Style::kBad;
}

void Print(const Output& output, const Checks& checks) {
  size_t widest = 0;
  for (const Check& check : checks) widest = std::max(widest, check.name.size());
  for (const Check& check : checks) {
    const std::string word(HealthWord(check.health));
    output.Line(Cat(output.terminal().Paint(word, StyleOf(check.health)),
                    std::string(6 - word.size(), ' '), check.name,
                    std::string(widest + 2 - check.name.size(), ' '), check.found,
                    check.remedy.empty() ? "" : " -> ", check.remedy));
  }
}

int RunDoctor(Session& session) {
  const Output& output = session.output;
  Checks checks;
  CheckConfiguration(session, checks);
  CheckPrograms(checks);
  CheckSeparation(session, checks);
  {
    Worker worker(session);
    CheckDaemons(worker, session, checks);
  }
  CheckFiles(session, checks);
  CheckDisk(session, checks);
  const auto count = [&checks](Health health) {
    return std::count_if(checks.begin(), checks.end(),
                         [health](const Check& check) { return check.health == health; });
  };
  const auto failures = count(Health::kFailure), warnings = count(Health::kWarning);
  if (output.json()) {
    JsonArray list;
    for (const Check& check : checks) {
      list.emplace_back(JsonObject{{"name", check.name},
                                   {"state", std::string(HealthWord(check.health))},
                                   {"found", check.found},
                                   {"remedy", check.remedy}});
    }
    output.Json(JsonObject{{"ok", failures == 0},
                           {"failures", static_cast<int64_t>(failures)},
                           {"warnings", static_cast<int64_t>(warnings)},
                           {"checks", std::move(list)}});
  } else {
    Print(output, checks);
    output.Line(failures > 0   ? Cat(failures, " failed, ", warnings, " warnings")
                : warnings > 0 ? Cat("nothing failed, ", warnings, " warnings")
                               : std::string("all is well"));
  }
  return failures == 0 ? kExitOk : kExitFailure;
}

}  // namespace

void AddDoctorVerb(CLI::App& app, Chosen& chosen) {
  CLI::App* doctor =
      app.add_subcommand("doctor", "Everything that may be wrong with this worker, and what to do");
  doctor->footer(
      "Daemons that do not run are started for the look and stopped again, netd excepted.\n"
      "Exit code 1 when a line says fail; warnings alone are 0.\n\nExample: auspex doctor --json");
  Runs(doctor, chosen, RunDoctor);
}

}  // namespace auspex::cli
