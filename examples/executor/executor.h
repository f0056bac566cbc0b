// SPDX-License-Identifier: AGPL-3.0-only
// RunExecutor: the whole of an executor's contract with the worker (wire protocol, section 10), so
// that a tenant writes one function from a unit's payload to a result's payload. Called as
//
//   PROGRAM --input FILE --output FILE --models DIR --timeout SECONDS
//
// with the package as its working directory. Exit status: 0 the output was written, 1 the
// computation failed, 2 it could not run (flags, input or output). The output is put in place whole
// or not at all. One line on standard error says why when the status is not 0. Single-threaded.
//
// Example:
//   int main(int argc, char** argv) {
//     return auspex::RunExecutor(
//         argc, argv, [](const auspex::ExecutorInput&) -> absl::StatusOr<auspex::JsonObject> {
//           return auspex::JsonObject{{"ok", true}};
//         });
//   }
#ifndef AUSPEX_EXAMPLES_EXECUTOR_EXECUTOR_H_
#define AUSPEX_EXAMPLES_EXECUTOR_EXECUTOR_H_

#include "absl/status/statusor.h"
#include "common/json/value.h"
#include "examples/executor/input.h"

namespace auspex {

// Computes the result's payload. An error is the unit's failure: its message is printed and the
// exit status is 1. What it returns must depend on the input and the package alone, or replicas
// will not agree.
using Computation = absl::StatusOr<JsonObject> (*)(const ExecutorInput& input);

// Returns the process's exit status. Arms an alarm at the timeout, whose signal ends the process:
// the worker kills it at that time anyway, and this way a lone run by hand is bounded too.
int RunExecutor(int argc, char* const* argv, Computation compute);

}  // namespace auspex

#endif  // AUSPEX_EXAMPLES_EXECUTOR_EXECUTOR_H_
