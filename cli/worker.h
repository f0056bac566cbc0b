// SPDX-License-Identifier: AGPL-3.0-only
// Worker: the daemons of the session's worker, brought up as needed, and the calls to them, as one
// thing. One thread.
#ifndef AUSPEX_CLI_WORKER_H_
#define AUSPEX_CLI_WORKER_H_

#include <string>
#include <vector>

#include "cli/clients.h"
#include "cli/process/transient.h"
#include "cli/session.h"

namespace auspex::cli {

class Worker {
 public:
  explicit Worker(const Session& session)
      : daemons_(session.layout, session.globals.verbose), clients_(session.layout) {}

  // See TransientDaemons.
  absl::Status Need(const std::vector<std::string>& names) { return daemons_.Need(names); }
  TransientDaemons& daemons() { return daemons_; }
  Clients* operator->() { return &clients_; }
  Clients& clients() { return clients_; }

 private:
  TransientDaemons daemons_;
  // Closed before the daemons are stopped, so that they need not wait for open connections.
  Clients clients_;
};

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_WORKER_H_
