// SPDX-License-Identifier: AGPL-3.0-only
// Runs the built command as a person would: arguments, environment, what came out. And the
// questions that tests ask about processes. One thread.
#ifndef AUSPEX_TESTS_CLI_RUN_COMMAND_H_
#define AUSPEX_TESTS_CLI_RUN_COMMAND_H_

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"

namespace auspex::cli {

struct Outcome {
  int code = -1;  // exit code, or 128 + signal
  std::string out, err;
};

struct RunOptions {
  std::map<std::string, std::string> environment;  // set beside the few variables that a run gets
  std::string input;                               // standard input
  bool on_terminal =
      false;  // standard output is a pseudo-terminal of 80 columns; `out` has its text
  int timeout_seconds = 30;  // then killed
};

// Runs `program` (a path) and waits for it. The environment is empty but for PATH and what is
// given.
Outcome RunProgram(const std::string& program, const std::vector<std::string>& arguments,
                   const RunOptions& options = {});

// The same without waiting; standard output and error go to /dev/null or to `log`.
pid_t StartProgram(const std::string& program, const std::vector<std::string>& arguments,
                   const std::string& log = "/dev/null");

// A program of the build.
std::string BuiltProgram(const std::string& name);

// Processes whose command line holds `text`, this one left out.
std::vector<pid_t> ProcessesWith(const std::string& text);

// True as soon as `condition` is; false after `seconds`.
bool Eventually(const std::function<bool()>& condition, int seconds = 20);

// A folder under which each test may do as it likes.
using ScratchFolder = testing::TempDir;

}  // namespace auspex::cli

#endif  // AUSPEX_TESTS_CLI_RUN_COMMAND_H_
