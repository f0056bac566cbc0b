// SPDX-License-Identifier: AGPL-3.0-only
// withdraw: retires the worker and forgets it here.
#ifndef AUSPEX_CLI_VERBS_WITHDRAW_H_
#define AUSPEX_CLI_VERBS_WITHDRAW_H_

#include "cli/app.h"

namespace auspex::cli {

void AddWithdrawVerb(CLI::App& app, Chosen& chosen);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_VERBS_WITHDRAW_H_
