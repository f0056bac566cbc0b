// SPDX-License-Identifier: AGPL-3.0-only
// Worker: the daemons of the session's worker, brought up as needed, and the calls to them, as one
// thing. One thread.
#ifndef AUSPEX_CLI_WORKER_H_
#define AUSPEX_CLI_WORKER_H_

#include <memory>
#include <string>
#include <vector>

#include "cli/clients.h"
#include "cli/passphrase.h"
#include "cli/process/transient.h"
#include "cli/session.h"
#include "common/base/status_macros.h"

namespace auspex::cli {

class Worker {
 public:
  explicit Worker(const Session& session)
      : daemons_(session.layout, session.globals.verbose), clients_(session.layout) {
    if (!session.globals.ask_passphrase) return;
    daemons_.HandPassphrase([this]() -> absl::StatusOr<UniqueFd> {
      if (passphrase_ == nullptr) RETURN_IF_ERROR(AskPassphrase(false));
      return passphrase_->Pipe();
    });
  }

  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // See TransientDaemons.
  absl::Status Need(const std::vector<std::string>& names) { return daemons_.Need(names); }
  // Asks now instead of when keyd is started; `twice` before something is sealed with it.
  absl::Status AskPassphrase(bool twice) {
    ASSIGN_OR_RETURN(passphrase_, Passphrase::Ask(twice));
    return absl::OkStatus();
  }
  TransientDaemons& daemons() { return daemons_; }
  Clients* operator->() { return &clients_; }
  Clients& clients() { return clients_; }

 private:
  std::unique_ptr<Passphrase> passphrase_;
  TransientDaemons daemons_;
  // Closed before the daemons are stopped, so that they need not wait for open connections.
  Clients clients_;
};

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_WORKER_H_
