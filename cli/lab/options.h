// SPDX-License-Identifier: AGPL-3.0-only
// The options of `auspex lab`, declared in the same way by the command and by the lab program.
#ifndef AUSPEX_CLI_LAB_OPTIONS_H_
#define AUSPEX_CLI_LAB_OPTIONS_H_

#include <string>

namespace CLI {
class App;
}  // namespace CLI

namespace auspex::cli::lab {

struct LabOptions {
  int workers = 2;         // 1..16
  int units = 24;          // 1..2000
  int replication = 2;     // 1..workers
  int slots = 2;           // units at a time, per worker, 1..64
  bool keep = false;       // leave everything running
  std::string stop;        // not empty: stop the lab that was kept in this folder, nothing else
  std::string experiment;  // staged package; empty: robustness-sweep beside the program
};

// Declares the verb below `app`; parsing writes to `options`, which must live as long. The caller
// sets the callback.
CLI::App* DeclareLab(CLI::App& app, LabOptions& options);

}  // namespace auspex::cli::lab

#endif  // AUSPEX_CLI_LAB_OPTIONS_H_
