// SPDX-License-Identifier: AGPL-3.0-only
// The groups of verbs. Each function declares its verbs below `app`; a verb that was chosen stores
// what is to be run in `chosen`, so that nothing runs inside the parser. Options of a verb live in
// objects shared by the parser and that function.
#ifndef AUSPEX_CLI_VERBS_VERBS_H_
#define AUSPEX_CLI_VERBS_VERBS_H_

#include "cli/app.h"

namespace auspex::cli {

void AddIdentityVerbs(CLI::App& app, Chosen& chosen);   // bootstrap, login, withdraw, key
void AddKeyVerbs(CLI::App& app, Chosen& chosen);        // key, called by the former
void AddStatusVerb(CLI::App& app, Chosen& chosen);      // status
void AddDoctorVerb(CLI::App& app, Chosen& chosen);      // doctor
void AddDaemonVerb(CLI::App& app, Chosen& chosen);      // daemon
void AddServiceVerbs(CLI::App& app, Chosen& chosen);    // service
void AddWorkVerbs(CLI::App& app, Chosen& chosen);       // accept, refuse, abort, pause, unpause
void AddHistoryVerbs(CLI::App& app, Chosen& chosen);    // queue, peek, log
void AddTenantVerbs(CLI::App& app, Chosen& chosen);     // tenant
void AddReceiptVerbs(CLI::App& app, Chosen& chosen);    // receipts
void AddPackageVerbs(CLI::App& app, Chosen& chosen);    // packages
void AddSandboxVerbs(CLI::App& app, Chosen& chosen);    // sandbox
void AddAuditVerbs(CLI::App& app, Chosen& chosen);      // audit
void AddLabVerb(CLI::App& app, Chosen& chosen);         // lab
void AddCompletionVerb(CLI::App& app, Chosen& chosen);  // completion

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_VERBS_VERBS_H_
