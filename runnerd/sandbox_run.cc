// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/sandbox_run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"
#include "common/log/log.h"
#include "runnerd/bounded_reader.h"
#include "runnerd/process.h"
#include "runnerd/seccomp_filter.h"

namespace auspex::runnerd {
namespace {

constexpr size_t kTailOctets = 800;
constexpr size_t kStatusOctets = 4096;
constexpr int64_t kDeathMicros = 10'000'000;

bool IsReadable(int fd, int timeout_ms) {
  pollfd entry{fd, POLLIN, 0};
  return poll(&entry, 1, timeout_ms) > 0;
}

// When memory runs out the kernel is to take a tenant's process first, never the owner's. Children
// inherit it. A help, not a wall: a failure is nothing.
void PutFirstInLineForOom(pid_t pid) {
  UniqueFd file(
      open(("/proc/" + std::to_string(pid) + "/oom_score_adj").c_str(), O_WRONLY | O_CLOEXEC));
  if (file) (void)WriteAll(file.get(), "1000", "oom_score_adj");
}

// One run; the object lives on the stack of the calling thread.
class Run {
 public:
  Run(const RunRequest& request, RunControl& control, std::optional<UnitCgroup>& cgroup,
      Process process, Pipe report, Pipe errors, Pipe status)
      : request_(request),
        control_(control),
        cgroup_(cgroup),
        process_(std::move(process)),
        report_(std::move(report)),
        errors_(std::move(errors)),
        status_(std::move(status)),
        report_text_(request.max_report_octets),
        error_text_(kTailOctets),
        status_text_(kStatusOctets) {}

  absl::StatusOr<RunOutcome> Wait() {
    // The child has the writing ends now.
    report_.write.Reset();
    errors_.write.Reset();
    status_.write.Reset();
    const Clock& clock = Clock::System();
    deadline_ = clock.MonotonicMicros() + static_cast<int64_t>(request_.wall_seconds * 1e6);
    while (!IsReadable(process_.fd(), 0)) {
      ObeyFreeze(clock.MonotonicMicros());
      PollOnce(clock);
      const int64_t now = clock.MonotonicMicros();
      ObeyFreeze(now);
      ObeyRequest(now);
      if (!frozen_since_ && now >= deadline_ && outcome_.end == RunOutcome::End::kByItself)
        outcome_.end = RunOutcome::End::kDeadline;
      if (not_taken_ && outcome_.end == RunOutcome::End::kByItself)
        outcome_.end = RunOutcome::End::kNotTaken;
      if (outcome_.end == RunOutcome::End::kDeadline || outcome_.end == RunOutcome::End::kNotTaken)
        KillAll(now);
    }
    return Collect(clock);
  }

 private:
  bool sandboxed() const { return request_.seccomp != nullptr; }

  // The unit's clock stands still from the order to freeze to the order to go on: for the moment
  // that the kernel takes to carry it out the unit gets more, never less.
  void ObeyFreeze(int64_t now) {
    if (!cgroup_ || outcome_.killed) return;
    const bool wanted = control_.frozen();
    if (wanted && frozen_since_ && now >= FrozenUntil())
      return control_.Request(EndReason::kFrozenTooLong);
    if (wanted == frozen_since_.has_value()) return;
    if (const absl::Status status = cgroup_->SetFrozen(wanted); !status.ok()) {
      LogWarning("unit_freeze_failed", {{"why", std::string(status.message())}});
      return;
    }
    if (wanted) {
      frozen_since_ = now;
    } else {
      const int64_t lasted = now - *frozen_since_;
      frozen_micros_ += lasted;
      deadline_ += lasted;
      frozen_since_.reset();
    }
  }
  int64_t FrozenUntil() const {
    return *frozen_since_ + static_cast<int64_t>(request_.max_frozen_seconds * 1e6) -
           frozen_micros_;
  }

  void PollOnce(const Clock& clock) {
    int64_t until = frozen_since_ ? FrozenUntil() : deadline_;
    if (auto kill_at = control_.kill_at_micros()) until = std::min(until, *kill_at);
    if (outcome_.killed) until = clock.MonotonicMicros() + 20'000;
    const int64_t wait_ms =
        std::clamp<int64_t>((until - clock.MonotonicMicros()) / 1000 + 1, 0, 60'000);
    // A stream that ended or a request that was obeyed would be ready for ever.
    pollfd entries[] = {{process_.fd(), POLLIN, 0},
                        {report_open_ ? report_.read.get() : -1, POLLIN, 0},
                        {errors_open_ ? errors_.read.get() : -1, POLLIN, 0},
                        {status_open_ ? status_.read.get() : -1, POLLIN, 0},
                        {obeyed_ ? -1 : control_.fd(), POLLIN, 0},
                        {control_.freeze_fd(), POLLIN, 0}};
    if (poll(entries, std::size(entries), static_cast<int>(wait_ms)) <= 0) return;
    control_.ClearFreezeEvent();
    DrainAll();
  }

  void DrainAll() {
    DrainReport();
    if (errors_open_) errors_open_ = error_text_.Drain(errors_.read.get());
    if (status_open_) status_open_ = status_text_.Drain(status_.read.get());
    FindChild();
  }

  void DrainReport() {
    if (!report_open_) return;
    if (!request_.take_report) {
      report_open_ = report_text_.Drain(report_.read.get());
      return;
    }
    report_open_ = DrainInto(report_.read.get(), [this](std::string_view piece) {
      if (!not_taken_) not_taken_ = !request_.take_report(piece);
    });
  }

  // bubblewrap writes {"child-pid": N, ...} as soon as the sandbox's first process exists.
  void FindChild() {
    if (child_ || child_gone_ || !sandboxed()) return;
    constexpr std::string_view kKey = "\"child-pid\": ";
    const std::string& text = status_text_.text();
    const size_t at = text.find(kKey);
    if (at == std::string::npos) return;
    pid_t pid = 0;
    const char* begin = text.data() + at + kKey.size();
    auto [end, error] = std::from_chars(begin, text.data() + text.size(), pid);
    // Followed by something, so the number is whole.
    if (error != std::errc() || end == text.data() + text.size()) return;
    child_ = OpenChildOf(process_.pid(), pid);
    PutFirstInLineForOom(pid);
    if (!child_) child_gone_ = true;
  }

  // Whether the sandbox's first process runs and takes signals.
  bool CanBeTold() const { return !report_text_.text().empty(); }

  void ObeyRequest(int64_t now) {
    const auto kill_at = control_.kill_at_micros();
    if (!kill_at) return;
    if (outcome_.end == RunOutcome::End::kByItself) outcome_.end = RunOutcome::End::kRequested;
    // What is frozen cannot use its grace.
    if (now >= *kill_at || frozen_since_) return KillAll(now);
    if (obeyed_) return;
    if (!CanBeTold()) {
      IsReadable(process_.fd(), 2);  // still being built: look again soon
      return;
    }
    SignalByFd(sandboxed() ? child_.get() : process_.fd(), SIGTERM);
    obeyed_ = true;
  }

  void KillAll(int64_t now) {
    obeyed_ = true;
    if (!outcome_.killed) {
      kill_began_ = now;
      control_.NoteKilled();
    }
    outcome_.killed = true;
    // All at once, bubblewrap included, whatever state they are in and whatever they fork.
    if (cgroup_ && cgroup_->Kill().ok()) return;
    // The sandbox's first process goes first; bubblewrap follows by itself. Before that process
    // exists bubblewrap must live: killed while it builds, it could leave a half-built sandbox
    // without a parent.
    SignalByFd(child_.get(), SIGKILL);
    const int64_t patience = child_ ? 1'000'000 : 3'000'000;
    if (!sandboxed() || child_gone_ || now - kill_began_ > patience) process_.Kill();
  }

  absl::StatusOr<RunOutcome> Collect(const Clock& clock) {
    DrainAll();
    const int status = process_.Wait();
    // The first process of the namespace becomes a zombie only after every other process in it has
    // ended, so its descriptor stands for all of them.
    const int64_t give_up = clock.MonotonicMicros() + kDeathMicros;
    while (child_ && !IsReadable(child_.get(), 100)) {
      SignalByFd(child_.get(), SIGKILL);
      if (clock.MonotonicMicros() > give_up) {
        return absl::InternalError(
            "sandbox: a process of the unit did not die within 10 s of SIGKILL");
      }
    }
    if (cgroup_) {
      outcome_.usage = cgroup_->Usage();
      RETURN_IF_ERROR(cgroup_->End());
    }
    DrainReport();
    if (errors_open_) error_text_.Drain(errors_.read.get());
    if (frozen_since_) frozen_micros_ += clock.MonotonicMicros() - *frozen_since_;
    outcome_.frozen_seconds = static_cast<double>(frozen_micros_) / 1e6;
    if (not_taken_ && outcome_.end == RunOutcome::End::kByItself)
      outcome_.end = RunOutcome::End::kNotTaken;
    outcome_.exited = WIFEXITED(status);
    outcome_.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
    outcome_.report_overflow = report_text_.overflow();
    outcome_.report = report_text_.Take();
    outcome_.stderr_tail = error_text_.Tail();
    return std::move(outcome_);
  }

  const RunRequest& request_;
  RunControl& control_;
  std::optional<UnitCgroup>& cgroup_;
  Process process_;
  Pipe report_, errors_, status_;
  BoundedReader report_text_;
  TailReader error_text_;
  BoundedReader status_text_;
  bool report_open_ = true, errors_open_ = true, status_open_ = true;
  bool obeyed_ = false, child_gone_ = false, not_taken_ = false;
  int64_t kill_began_ = 0;
  UniqueFd child_;
  int64_t deadline_ = 0, frozen_micros_ = 0;
  std::optional<int64_t> frozen_since_;
  RunOutcome outcome_;
};

}  // namespace

absl::StatusOr<RunOutcome> RunProcessTree(const RunRequest& request, RunControl& control) {
  ASSIGN_OR_RETURN(Pipe report, Pipe::Make());
  ASSIGN_OR_RETURN(Pipe errors, Pipe::Make());
  ASSIGN_OR_RETURN(Pipe status, Pipe::Make());
  std::vector<int> descriptors{request.input_fd, report.write.get(), errors.write.get()};
  UniqueFd seccomp, null;
  if (request.input_fd < 0) {
    null.Reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null) return ErrnoStatus(errno, "open", "/dev/null");
    descriptors[0] = null.get();
  }
  if (request.seccomp != nullptr) {
    ASSIGN_OR_RETURN(seccomp, ReopenFilter(*request.seccomp));
    descriptors.push_back(seccomp.get());
    descriptors.push_back(status.write.get());
    for (const UniqueFd& place : request.shown) descriptors.push_back(place.get());
  }
  // Outlives the process: whatever way this ends, what is left inside is killed.
  std::optional<UnitCgroup> cgroup;
  if (request.cgroups != nullptr && request.cgroups->usable()) {
    absl::StatusOr<UnitCgroup> made = request.cgroups->Make(request.limits);
    if (!made.ok()) {
      return absl::Status(made.status().code(),
                          Cat("layer cgroup: ", std::string(made.status().message())));
    }
    cgroup.emplace(*std::move(made));
  }
  ASSIGN_OR_RETURN(Process process,
                   Process::Start(request.arguments, descriptors, cgroup ? cgroup->fd() : -1));
  if (request.seccomp != nullptr) PutFirstInLineForOom(process.pid());
  return Run(request, control, cgroup, std::move(process), std::move(report), std::move(errors),
             std::move(status))
      .Wait();
}

absl::StatusOr<UniqueFd> MemoryFile(std::string_view octets) {
  UniqueFd file(memfd_create("auspex-input", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return ErrnoStatus(errno, "memfd_create", "input");
  RETURN_IF_ERROR(WriteAll(file.get(), octets, "input"));
  if (fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) !=
          0 ||
      lseek(file.get(), 0, SEEK_SET) != 0) {
    return ErrnoStatus(errno, "seal", "input");
  }
  return file;
}

}  // namespace auspex::runnerd
