// SPDX-License-Identifier: AGPL-3.0-only
// Lab: a whole network on this machine for the time of one experiment. See `auspex lab --help`.
#ifndef AUSPEX_CLI_LAB_LAB_H_
#define AUSPEX_CLI_LAB_LAB_H_

#include "cli/lab/options.h"
#include "cli/output/output.h"

namespace auspex::cli::lab {

// Runs the experiment and prints the report. Returns the command's exit code; leaves no process and
// no file behind, unless options.keep and all went well. Call from the main thread, before other
// threads exist.
int RunLab(const Output& output, const LabOptions& options);

}  // namespace auspex::cli::lab

#endif  // AUSPEX_CLI_LAB_LAB_H_
