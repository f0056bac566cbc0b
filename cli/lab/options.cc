// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/lab/options.h"

#include <CLI/CLI.hpp>

namespace auspex::cli::lab {

CLI::App* DeclareLab(CLI::App& app, LabOptions& options) {
  CLI::App* verb =
      app.add_subcommand("lab", "A coordinator, workers and a real experiment on this machine");
  verb->add_option("--workers", options.workers, "How many workers")
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
  verb->add_option("--units", options.units, "How many work units")
      ->check(CLI::Range(1, 2000))
      ->capture_default_str();
  verb->add_option("--replication", options.replication,
                   "Workers that must agree on each unit; at most --workers")
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
  verb->add_option("--slots", options.slots, "Units that one worker runs at a time")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  verb->add_flag("--keep", options.keep, "Leave it running and say how to talk to it");
  verb->add_option("--stop", options.stop, "Stop the lab that --keep left in DIR, and remove DIR")
      ->type_name("DIR");
  verb->add_option("--experiment", options.experiment,
                   "Folder of another staged package whose units take epsilon and seed")
      ->type_name("DIR")
      ->check(CLI::ExistingDirectory);
  verb->footer(
      "Everything lives in a throw-away folder below TMPDIR and is gone afterwards.\n\n"
      "Example: auspex lab --workers 3 --replication 3 --units 60");
  return verb;
}

}  // namespace auspex::cli::lab
