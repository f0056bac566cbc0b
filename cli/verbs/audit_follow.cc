// SPDX-License-Identifier: AGPL-3.0-only
// audit follow: records as they come, until Ctrl-C.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <thread>

#include "cli/journal_client.h"
#include "cli/verbs/arguments.h"
#include "cli/verbs/audit_verbs.h"
#include "cli/worker.h"
#include "common/base/cat.h"
#include "common/base/unique_fd.h"
#include "common/json/canonical.h"

namespace auspex::cli {
namespace {

struct FollowOptions {
  RowFilter filter;
  uint64_t last = 10;
};

int signal_pipe = -1;  // written by the handler

void OnSignal(int) {
  const int saved = errno;
  (void)!::write(signal_pipe, "", 1);
  errno = saved;
}

// Calls `stop` once a signal that ends a command comes, or once nobody reads our output any more.
class StopOnSignal {
 public:
  explicit StopOnSignal(std::function<void()> stop) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return;
    read_ = UniqueFd(ends[0]);
    write_ = UniqueFd(ends[1]);
    signal_pipe = write_.get();
    thread_ = std::thread([this, stop = std::move(stop)] {
      // A pipe without a reader says so by itself, also when no record comes for hours.
      pollfd watched[] = {{read_.get(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}};
      while (::poll(watched, 2, -1) < 0 && errno == EINTR) {
      }
      stop();
    });
    struct sigaction action {};
    action.sa_handler = OnSignal;
    ::sigaction(SIGINT, &action, &interrupt_);
    ::sigaction(SIGTERM, &action, &terminate_);
  }
  ~StopOnSignal() {
    if (!thread_.joinable()) return;
    ::sigaction(SIGINT, &interrupt_, nullptr);
    ::sigaction(SIGTERM, &terminate_, nullptr);
    OnSignal(0);
    thread_.join();
  }

 private:
  UniqueFd read_, write_;
  std::thread thread_;
  struct sigaction interrupt_ {};
  struct sigaction terminate_ {};
};

int RunFollow(Session& session, const FollowOptions& options) {
  const Output& output = session.output;
  Worker worker(session);
  absl::Status status = worker.Need({"keyd"});
  uint64_t next = 1;
  if (status.ok()) {
    const absl::StatusOr<keyd_v1::KeyStatus> key = worker->KeyStatus();
    status = key.status();
    if (key.ok()) next = key->journal_records() + 1;
  }
  next -= std::min(next - 1, options.last);
  JournalClient journal(session.layout);
  if (status.ok()) {
    const StopOnSignal stop([&journal] { journal.Stop(); });
    status = journal.List(next, true, [&](const keyd_v1::JournalRecord& row) {
      if (!Fits(options.filter, row)) return true;
      output.Line(output.json() ? WriteCanonical(RowJson(row)) : RowLine(row));
      return std::fflush(stdout) == 0;
    });
  }
  if (status.ok() || absl::IsCancelled(status)) return kExitOk;
  output.Error("audit", status);
  return kExitFailure;
}

}  // namespace

void AddAuditFollow(CLI::App& audit, Chosen& chosen) {
  auto options = std::make_shared<FollowOptions>();
  CLI::App* follow = audit.add_subcommand("follow", "The latest records, and those that come");
  AddFilterOptions(*follow, options->filter);
  follow->add_option("--last", options->last, "Begin with the latest N records")
      ->capture_default_str();
  follow->footer(
      "Ends with Ctrl-C. With --json: one object a line.\n\n"
      "Example: auspex audit follow --outcome refused\n"
      "Example: auspex audit follow --json --last 0");
  Runs(follow, chosen, options, RunFollow);
}

}  // namespace auspex::cli
