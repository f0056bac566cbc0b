// SPDX-License-Identifier: AGPL-3.0-only
// The owner's command, `auspex`; installed as `auspexai-worker` too.
#include "cli/app.h"

int main(int argc, char** argv) { return auspex::cli::Run(argc, argv); }
