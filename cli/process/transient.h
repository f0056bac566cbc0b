// SPDX-License-Identifier: AGPL-3.0-only
// TransientDaemons: makes sure that the daemons which a verb needs are running, for as long as this
// object lives. Daemons that run already (under `auspex daemon`, or as services) are used as they
// are; missing ones are started as children and stopped by Stop or the destructor. In system mode
// nothing is started: the error says how to start the services. One thread.
#ifndef AUSPEX_CLI_PROCESS_TRANSIENT_H_
#define AUSPEX_CLI_PROCESS_TRANSIENT_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/process/child.h"
#include "common/base/unique_fd.h"
#include "common/paths/layout.h"

namespace auspex::cli {

// "<run>/command": the folder of the command's locks. Made when missing.
absl::StatusOr<std::string> CommandRunDir(const Layout& layout);

// True when somebody accepts connections on the Unix socket at `path`.
bool SocketAnswers(const std::string& path);

class TransientDaemons {
 public:
  // `show_logs`: the log lines of started daemons go to standard error; else they are shown only
  // when a start fails.
  TransientDaemons(const Layout& layout, bool show_logs) : layout_(layout), show_logs_(show_logs) {}
  ~TransientDaemons() { Stop(); }
  TransientDaemons(const TransientDaemons&) = delete;
  TransientDaemons& operator=(const TransientDaemons&) = delete;

  // Called at each start of keyd; the descriptor goes to it as AUSPEX_KEYD_PASSPHRASE_FD.
  void HandPassphrase(std::function<absl::StatusOr<UniqueFd>()> hand_over) {
    hand_over_ = std::move(hand_over);
  }
  // Every daemon of `names` ("keyd", "stated", "netd", "runnerd") serves its owner socket
  // afterwards. FAILED_PRECONDITION or UNAVAILABLE naming the daemon, with what it logged, when one
  // does not. May be called again with more names.
  absl::Status Need(const std::vector<std::string>& names);
  // Whether the daemon answers now, without starting anything.
  bool Answers(std::string_view name) const;
  // True when Need had to start something.
  bool started_any() const { return !running_.empty(); }
  // Stops what was started: netd, runnerd, stated, keyd.
  void Stop();

 private:
  struct Running {
    std::string name;
    Child child;
    UniqueFd log;
  };
  absl::Status AwaitTurn(const std::vector<std::string>& names, bool& served);
  absl::Status Start(const std::vector<std::string>& names);

  const Layout& layout_;
  bool show_logs_;
  UniqueFd start_lock_;
  std::function<absl::StatusOr<UniqueFd>()> hand_over_;
  std::vector<Running> running_;
};

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_PROCESS_TRANSIENT_H_
