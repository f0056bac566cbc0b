// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/lab/interrupt.h"

#include <poll.h>
#include <pthread.h>
#include <sys/signalfd.h>

#include <csignal>

namespace auspex::cli::lab {

Interrupt::Interrupt() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  fd_.Reset(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

absl::Status Interrupt::Sleep(int ms) {
  pollfd entry{fd_.get(), POLLIN, 0};
  if (!came_ && poll(&entry, 1, ms) > 0) came_ = true;
  return came_ ? absl::CancelledError("interrupted") : absl::OkStatus();
}

}  // namespace auspex::cli::lab
