// SPDX-License-Identifier: AGPL-3.0-only
// audit: the group of verbs around the signing journal.
#include "cli/verbs/arguments.h"
#include "cli/verbs/audit_verbs.h"

namespace auspex::cli {

void AddAuditVerbs(CLI::App& app, Chosen& chosen) {
  CLI::App* audit = app.add_subcommand(
      "audit", "The journal of every signature: read it, prove from it, check it");
  audit->require_subcommand(0, 1);
  AddAuditShow(*audit, chosen);
  AddAuditFollow(*audit, chosen);
  AddAuditHead(*audit, chosen);
  AddAuditVerify(*audit, chosen);
  AddAuditProve(*audit, chosen);
  AddAuditExport(*audit, chosen);
  audit->footer(
      "Every signature of keyd has a record before it is released. Keep a checkpoint elsewhere "
      "now\n"
      "and then, and nobody can take a record back unnoticed:\n"
      "  auspex audit head --sign --note > kept.txt\n"
      "  auspex audit verify --checkpoint kept.txt");
}

}  // namespace auspex::cli
