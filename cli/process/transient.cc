// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/process/transient.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "cli/process/instance_lock.h"
#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"

namespace auspex::cli {
namespace {

constexpr int kReadyMs = 15'000;
constexpr int kStopMs = 5'000;
constexpr int kStepMs = 20;
// How long another command's own daemons are waited for before they are used as they are.
constexpr int kTurnMs = 3'000;
// How long a daemon of a starting `auspex daemon` is waited for.
constexpr int kServeMs = 10'000;
constexpr size_t kLogTail = 2000;

constexpr std::array<std::string_view, 4> kStartOrder = {"keyd", "stated", "runnerd", "netd"};

// The last line of what a daemon logged, which says why it ended.
std::string LastLine(int fd) {
  struct stat info {};
  if (fd < 0 || fstat(fd, &info) != 0) return "";
  const off_t from = std::max<off_t>(0, info.st_size - static_cast<off_t>(kLogTail));
  std::string text(static_cast<size_t>(info.st_size - from), '\0');
  const ssize_t got = pread(fd, text.data(), text.size(), from);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

// The cause in a daemon's line about a refused start, as it was before the log quoted it; empty when
// `line` is another one.
std::string RefusalCause(std::string_view line) {
  constexpr std::string_view kRefused = " event=refused_to_start cause=\"";
  const size_t at = line.find(kRefused);
  if (at == std::string_view::npos || line.back() != '"') return "";
  line = line.substr(at + kRefused.size());
  line.remove_suffix(1);
  std::string cause;
  for (size_t i = 0; i < line.size(); ++i) {
    // What the log wrote as \xNN was not printable, and stays so.
    if (line[i] == '\\' && i + 1 < line.size() && line[i + 1] != 'x') ++i;
    cause += line[i];
  }
  return cause;
}

class Deadline {
 public:
  explicit Deadline(int ms)
      : end_(std::chrono::steady_clock::now() + std::chrono::milliseconds(ms)) {}
  bool over() const { return std::chrono::steady_clock::now() >= end_; }

 private:
  std::chrono::steady_clock::time_point end_;
};

}  // namespace

absl::StatusOr<std::string> CommandRunDir(const Layout& layout) {
  std::string path = layout.RunDir("command");
  RETURN_IF_ERROR(MakePrivateDirectory(path));
  return path;
}

bool SocketAnswers(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return fd && connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

bool TransientDaemons::Answers(std::string_view name) const {
  return SocketAnswers(layout_.Socket(name, "owner"));
}

// Returns when this process may start daemons (the lock is held then) or when all of `names` are
// served by others.
absl::Status TransientDaemons::AwaitTurn(const std::vector<std::string>& names, bool& served) {
  auto all_answer = [&] {
    return std::all_of(names.begin(), names.end(),
                       [this](const std::string& name) { return Answers(name); });
  };
  served = false;
  ASSIGN_OR_RETURN(const std::string folder, CommandRunDir(layout_));
  const std::string supervisor = Cat(folder, "/supervisor.lock");
  const std::string start = Cat(folder, "/start.lock");
  const Deadline turn(kTurnMs);
  const Deadline serve(kServeMs);
  for (;;) {
    const bool supervised = HolderOf(supervisor) != 0;
    if ((supervised || HolderOf(start) == 0 || turn.over()) && all_answer()) {
      served = true;
      return absl::OkStatus();
    }
    if (!supervised) {
      absl::StatusOr<UniqueFd> lock = TakeLock(start, 0);
      if (lock.ok()) {
        start_lock_ = *std::move(lock);
        return absl::OkStatus();
      }
      if (!absl::IsFailedPrecondition(lock.status())) return lock.status();
    }
    if (serve.over()) {
      return absl::UnavailableError(supervised
                                        ? Cat("the daemons of this worker (auspex daemon, process ",
                                              HolderOf(supervisor), ") do not answer")
                                        : Cat("another auspex command, process ", HolderOf(start),
                                              ", is at work on this worker"));
    }
    poll(nullptr, 0, kStepMs);
  }
}

absl::Status TransientDaemons::Need(const std::vector<std::string>& names) {
  std::vector<std::string> missing;
  for (const std::string& name : names) {
    const bool own = std::any_of(running_.begin(), running_.end(),
                                 [&name](const Running& running) { return running.name == name; });
    if (!own) missing.push_back(name);
  }
  if (layout_.mode() == Layout::Mode::kSystem) {
    for (const std::string& name : missing) {
      if (!Answers(name)) {
        return absl::FailedPreconditionError(
            Cat("auspex-", name, " does not answer on ", layout_.Socket(name, "owner"), ": ",
                std::strerror(errno),
                " (start the services: systemctl start auspex.target; to talk to them you must be "
                "root or in group auspex)"));
      }
    }
    return absl::OkStatus();
  }
  if (missing.empty()) return absl::OkStatus();
  if (!start_lock_) {
    bool served = false;
    RETURN_IF_ERROR(AwaitTurn(missing, served));
    if (served) return absl::OkStatus();
  }
  std::erase_if(missing, [this](const std::string& name) { return Answers(name); });
  return Start(missing);
}

absl::Status TransientDaemons::Start(const std::vector<std::string>& names) {
  const size_t first = running_.size();
  for (std::string_view name : kStartOrder) {
    if (std::find(names.begin(), names.end(), name) == names.end()) continue;
    Running running;
    running.name = std::string(name);
    ChildSpec spec;
    ASSIGN_OR_RETURN(spec.program, FindProgram(Cat("auspex-", name)));
    spec.arguments = layout_.Flags();
    spec.ready_pipe = true;
    if (show_logs_) {
      spec.arguments.push_back("--verbose");
    } else {
      running.log.Reset(memfd_create("auspex-log", MFD_CLOEXEC));
      if (!running.log) return ErrnoStatus(errno, "memfd_create", "log");
      spec.stdout_fd = spec.stderr_fd = running.log.get();
    }
    UniqueFd handed;
    if (name == "keyd" && hand_over_) {
      ASSIGN_OR_RETURN(handed, hand_over_());
      spec.passed_fd = handed.get();
      spec.passed_as = "AUSPEX_KEYD_PASSPHRASE_FD";
    }
    ASSIGN_OR_RETURN(running.child, Child::Start(spec));
    running_.push_back(std::move(running));
  }
  for (size_t i = first; i < running_.size(); ++i) {
    Running& running = running_[i];
    const Child::Readiness readiness = running.child.WaitReady(kReadyMs);
    if (readiness == Child::Readiness::kReady) continue;
    std::string cause =
        Cat("auspex-", running.name, " does not serve after ", kReadyMs / 1000, " s");
    if (readiness == Child::Readiness::kExited) {
      const std::optional<int> status = running.child.WaitFor(1000);
      cause = Cat("auspex-", running.name, " ",
                  status ? DescribeEnd(*status) : "closed its ready pipe");
    }
    const std::string why = LastLine(running.log.get());
    const std::string refusal = RefusalCause(why);
    const std::string name = running.name;
    // A daemon that is down must not look like one that this object keeps up.
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
    if (!refusal.empty()) {
      return absl::FailedPreconditionError(Cat("auspex-", name, " refused to start: ", refusal));
    }
    return absl::UnavailableError(why.empty() ? cause : Cat(cause, ": ", why));
  }
  return absl::OkStatus();
}

void TransientDaemons::Stop() {
  // Signals first, in order; their ends may overlap since nobody asks them for anything any more.
  for (std::string_view name : {"netd", "runnerd", "stated", "keyd"}) {
    for (Running& running : running_) {
      if (running.name == name) running.child.Stop(kStopMs);
    }
  }
  running_.clear();
  start_lock_.Reset();
}

}  // namespace auspex::cli
