// SPDX-License-Identifier: AGPL-3.0-only
// noop: does nothing, by the full contract. What a unit costs beyond its own work is measured with
// it.
#include "examples/executor/executor.h"

int main(int argc, char** argv) {
  return auspex::RunExecutor(
      argc, argv, [](const auspex::ExecutorInput&) -> absl::StatusOr<auspex::JsonObject> {
        return auspex::JsonObject{{"ok", true}};
      });
}
