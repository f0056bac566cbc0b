// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/process/supervisor.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "cli/process/stragglers.h"
#include "common/base/cat.h"
#include "common/base/errno_status.h"

namespace auspex::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kRefused = 2;
// How long the loop sleeps at most when nothing is due.
constexpr int kIdleMs = 60'000;

int MsBetween(steady_clock::time_point from, steady_clock::time_point to) {
  return static_cast<int>(std::chrono::duration_cast<milliseconds>(to - from).count());
}

}  // namespace

Supervisor::Supervisor(Options options) : options_(std::move(options)) {
  if (!options_.report) options_.report = [](const std::string&) {};
  for (Program& program : options_.programs) {
    Slot slot;
    slot.program = std::move(program);
    slots_.push_back(std::move(slot));
  }
}

absl::Status Supervisor::BlockSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  if (pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) return ErrnoStatus(errno, "block", "signals");
  signals_.Reset(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return ErrnoStatus(errno, "signalfd", "supervisor");
  return absl::OkStatus();
}

bool Supervisor::StartSlot(Slot& slot) {
  ChildSpec spec;
  spec.program = slot.program.path;
  spec.arguments = slot.program.arguments;
  spec.ready_pipe = true;
  slot.start_at.reset();
  slot.ready = false;
  slot.started = steady_clock::now();
  absl::StatusOr<UniqueFd> handed =
      slot.program.hand_over ? slot.program.hand_over() : absl::StatusOr<UniqueFd>(UniqueFd());
  if (handed.ok()) {
    spec.passed_fd = handed->get();
    spec.passed_as = slot.program.handed_as;
  }
  absl::StatusOr<Child> child = handed.ok() ? Child::Start(spec) : handed.status();
  if (!child.ok()) {
    options_.report(
        Cat(slot.program.name, " could not be started: ", std::string(child.status().message())));
    result_ = kRefused;
    return false;
  }
  slot.child = *std::move(child);
  return true;
}

void Supervisor::HandleEnd(Slot& slot, int wait_status) {
  const std::string& name = slot.program.name;
  slot.ready = false;
  if (WIFEXITED(wait_status)) {
    const int code = WEXITSTATUS(wait_status);
    if (code == kRefused) {
      options_.report(Cat(name, " refused to start (its reason is above); stopping"));
      if (!result_) result_ = kRefused;
      return;
    }
    if (slot.program.ends_the_run && (code == 0 || code == 1)) {
      if (!result_) result_ = code;
      return;
    }
  }
  const int worked_ms = MsBetween(slot.started, steady_clock::now());
  if (slot.pause_ms == 0 || worked_ms >= options_.steady_ms) {
    slot.pause_ms = options_.first_pause_ms;
  } else {
    slot.pause_ms = std::min(slot.pause_ms * 2, options_.longest_pause_ms);
  }
  slot.start_at = steady_clock::now() + milliseconds(slot.pause_ms);
  options_.report(
      Cat(name, " ", DescribeEnd(wait_status), "; it starts again in ", slot.pause_ms, " ms"));
}

void Supervisor::ReapSlots() {
  for (Slot& slot : slots_) {
    // An unserved ready pipe that ends means that the process is about to end; its wait status
    // follows.
    if (std::optional<int> status = slot.child.Poll()) {
      // A daemon that served just before it ended did serve.
      HandleEnd(slot, *status);
    }
  }
  ReapOrphans();
}

void Supervisor::ReapOrphans() {
  for (;;) {
    siginfo_t info{};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    const bool ours = std::any_of(slots_.begin(), slots_.end(), [&info](const Slot& slot) {
      return slot.child.pid() == info.si_pid;
    });
    if (ours) return;  // its turn comes with the SIGCHLD that is pending
    waitpid(info.si_pid, nullptr, WNOHANG);
  }
}

void Supervisor::StartDue() {
  const Time now = steady_clock::now();
  for (Slot& slot : slots_) {
    if (result_) return;
    if (slot.start_at && *slot.start_at <= now) {
      StartSlot(slot);
    } else if (slot.child.running() && !slot.ready &&
               MsBetween(slot.started, now) >= options_.ready_ms) {
      options_.report(
          Cat(slot.program.name, " does not serve after ", options_.ready_ms, " ms and is killed"));
      slot.child.Signal(SIGKILL);
      slot.started = now;  // the kill is asked for once; the end arrives as a signal
    }
  }
}

void Supervisor::CheckWhenReady() {
  if (checked_ || !options_.check || result_) return;
  for (const Slot& slot : slots_) {
    const bool needed = std::find(options_.check_after.begin(), options_.check_after.end(),
                                  slot.program.name) != options_.check_after.end();
    if (needed && !slot.ready) return;
  }
  absl::Status status = options_.check();
  if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status))
    return;  // a daemon died meanwhile: again when it serves again
  checked_ = true;
  if (!status.ok()) {
    refusal_ = std::string(status.message());
    result_ = kRefused;
  }
}

int Supervisor::MsUntilNextDue() const {
  int wait = kIdleMs;
  const Time now = steady_clock::now();
  for (const Slot& slot : slots_) {
    if (slot.start_at) wait = std::min(wait, MsBetween(now, *slot.start_at) + 1);
    if (slot.child.running() && !slot.ready) {
      wait = std::min(wait, options_.ready_ms - MsBetween(slot.started, now) + 1);
    }
  }
  return std::max(wait, 0);
}

bool Supervisor::WaitForEvent(int timeout_ms) {
  std::vector<pollfd> entries{{signals_.get(), POLLIN, 0}};
  std::vector<Slot*> waiting;
  for (Slot& slot : slots_) {
    if (slot.child.ready_fd() < 0) continue;
    entries.push_back({slot.child.ready_fd(), POLLIN, 0});
    waiting.push_back(&slot);
  }
  if (poll(entries.data(), entries.size(), timeout_ms) <= 0) return false;
  for (size_t i = 0; i < waiting.size(); ++i) {
    if (entries[i + 1].revents != 0) waiting[i]->ready = waiting[i]->child.TakeReady();
  }
  bool stop = false;
  signalfd_siginfo info{};
  while (read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo != static_cast<uint32_t>(SIGCHLD)) stop = true;
  }
  return stop;
}

void Supervisor::StopAll() {
  bool impatient = false;
  for (auto slot = slots_.rbegin(); slot != slots_.rend(); ++slot) {
    slot->start_at.reset();
    if (!slot->child.running()) continue;
    slot->child.Signal(SIGTERM);
    const Time deadline = steady_clock::now() + milliseconds(options_.patience_ms);
    while (!slot->child.Poll() && slot->child.running()) {
      const int left = MsBetween(steady_clock::now(), deadline);
      if (impatient || left <= 0) {
        options_.report(Cat(slot->program.name, " did not stop in time and is killed"));
        slot->child.Stop(0);
        break;
      }
      impatient = WaitForEvent(left) || impatient;
    }
  }
  KillStragglers();
}

int Supervisor::Run() {
  if (absl::Status status = BlockSignals(); !status.ok()) {
    options_.report(std::string(status.message()));
    return kRefused;
  }
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (Slot& slot : slots_) {
    if (!StartSlot(slot)) break;
  }
  while (!result_) {
    if (WaitForEvent(MsUntilNextDue())) result_ = 0;
    if (result_) break;
    ReapSlots();
    StartDue();
    CheckWhenReady();
  }
  StopAll();
  // Last, where the owner looks: the daemons' own lines come before it.
  if (!refusal_.empty()) options_.report(refusal_);
  return *result_;
}

}  // namespace auspex::cli
