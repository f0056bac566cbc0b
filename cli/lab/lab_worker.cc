// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/lab/lab_worker.h"

#include <fcntl.h>

#include <deque>
#include <sstream>

#include "cli/output/output.h"
#include "cli/process/transient.h"
#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"

namespace auspex::cli::lab {
namespace {

// For a command that hangs: its end is noticed at once.
constexpr int kBootstrapMs = 240'000;
// Of one call to a daemon that runs.
constexpr double kCallSeconds = 60;
constexpr uint64_t kMostLogOctets = 64ull * 1024 * 1024;
constexpr size_t kTroubleLines = 8;

std::string ConfigText(const LabWorker::Settings& settings) {
  return Cat(
      "[coordinator]\nurl = \"", settings.coordinator_url,
      "\"\nheartbeat_interval_seconds = 1\nassignment_poll_interval_seconds = "
      "0.2\nlong_poll_seconds = 10\n"
      "receipt_signer_pubkey = \"",
      settings.receipt_key,
      // The owner's desktop keyring is none of the lab's business.
      "\"\n\n[identity]\nkeystore_backend = \"encrypted_file\"\n\n[resources]\nslots = ",
      settings.slots,
      "\n\n[executor]\nexecute_tenant_code = \"provisioned\"\n\n[sandbox]\npolicy = \"strict\"\n");
}

}  // namespace

LabWorker::LabWorker(std::string name, std::string home, Settings settings, Layout layout)
    : name_(std::move(name)),
      home_(std::move(home)),
      settings_(std::move(settings)),
      layout_(std::move(layout)) {}

absl::StatusOr<std::unique_ptr<LabWorker>> LabWorker::Create(const std::string& name,
                                                             const std::string& home,
                                                             const Settings& settings) {
  RETURN_IF_ERROR(MakePrivateDirectory(home));
  Layout::Choice choice;
  choice.home = home;
  // The caller's variables point at the caller's own worker.
  const Environment nothing = [](std::string_view) { return std::optional<std::string>(); };
  ASSIGN_OR_RETURN(Layout layout, Layout::Resolve(choice, nothing));
  RETURN_IF_ERROR(WriteFileAtomically(layout.owner_config_file(), ConfigText(settings), 0600));
  return std::unique_ptr<LabWorker>(new LabWorker(name, home, settings, std::move(layout)));
}

absl::StatusOr<Child> LabWorker::StartCommand(const std::string& verb, bool outlives_parent) const {
  UniqueFd log(open(log_path().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log) return ErrnoStatus(errno, "open", log_path());
  ChildSpec spec;
  ASSIGN_OR_RETURN(spec.program, FindProgram("auspex"));
  spec.arguments = {"--home", home_, verb};
  spec.stdout_fd = spec.stderr_fd = log.get();
  spec.outlives_parent = outlives_parent;
  return Child::Start(spec);
}

absl::Status LabWorker::BeginBootstrap() {
  ASSIGN_OR_RETURN(bootstrap_, StartCommand("bootstrap", false));
  return absl::OkStatus();
}

absl::Status LabWorker::FinishBootstrap() {
  const std::optional<int> status = bootstrap_.WaitFor(kBootstrapMs);
  if (status && ExitCode(*status) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(Cat("worker ", name_, ": auspex bootstrap ",
                                           status ? DescribeEnd(*status) : "takes too long"));
}

absl::Status LabWorker::StartDaemon() {
  ASSIGN_OR_RETURN(process_, StartCommand("daemon", settings_.outlives_parent));
  clients_ = std::make_unique<Clients>(layout_, kCallSeconds);
  return absl::OkStatus();
}

absl::Status LabWorker::CheckReady() {
  if (std::optional<int> status = process_.Poll()) {
    return absl::FailedPreconditionError(
        Cat("worker ", name_, ": auspex daemon ", DescribeEnd(*status)));
  }
  if (!SocketAnswers(layout_.Socket("stated", "owner")))
    return absl::UnavailableError(Cat("worker ", name_, ": stated does not serve"));
  const absl::StatusOr<stated_v1::Status> answer = clients_->WorkerStatus();
  if (!answer.ok()) {
    // A channel that failed to connect goes on trying only while a call waits on it; a new one
    // connects at once.
    clients_ = std::make_unique<Clients>(layout_, kCallSeconds);
    return answer.status();
  }
  const stated_v1::Status& status = *answer;
  if (status.netd_connected() && status.slots() > 0) return absl::OkStatus();
  return absl::UnavailableError(
      Cat("worker ", name_, ": ", status.state(), " ", status.state_reason()));
}

std::string LabWorker::Troubles() const {
  const absl::StatusOr<std::string> log = ReadFile(log_path(), kMostLogOctets);
  if (!log.ok()) return "";
  std::deque<std::string> lines;
  std::istringstream in(*log);
  for (std::string line; std::getline(in, line);) {
    // Plain lines are the supervisor's words; of log lines only warnings and errors.
    const bool log_line = line.starts_with("t=");
    if (log_line && line.find("level=warn") == std::string::npos &&
        line.find("level=error") == std::string::npos)
      continue;
    lines.push_back(Clean(line));
    if (lines.size() > kTroubleLines) lines.pop_front();
  }
  std::string out;
  for (const std::string& line : lines) out += Cat("  ", line, "\n");
  return out;
}

}  // namespace auspex::cli::lab
