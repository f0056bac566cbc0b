// SPDX-License-Identifier: AGPL-3.0-only
// Interrupt: SIGINT, SIGTERM and SIGHUP as something that the lab's waits look at, so that it
// always comes to its clean-up. Make it before any other thread. One thread.
#ifndef AUSPEX_CLI_LAB_INTERRUPT_H_
#define AUSPEX_CLI_LAB_INTERRUPT_H_

#include "absl/status/status.h"
#include "common/base/unique_fd.h"

namespace auspex::cli::lab {

class Interrupt {
 public:
  Interrupt();
  // Waits `ms`, less when a signal comes. CANCELLED once a signal came, then and ever after.
  absl::Status Sleep(int ms);

 private:
  UniqueFd fd_;
  bool came_ = false;
};

}  // namespace auspex::cli::lab

#endif  // AUSPEX_CLI_LAB_INTERRUPT_H_
