// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/process/child.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <map>

#include "common/base/cat.h"
#include "common/base/errno_status.h"

extern char** environ;

namespace auspex::cli {
namespace {

using Milliseconds = std::chrono::milliseconds;

int64_t NowMs() {
  return std::chrono::duration_cast<Milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::vector<std::string> MergedEnvironment(const ChildSpec& spec, int ready_fd) {
  std::map<std::string, std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos) {
      merged[std::string(text.substr(0, equals))] = std::string(text.substr(equals + 1));
    }
  }
  // Meant for this process alone, never for what it starts.
  for (const char* own :
       {"AUSPEX_READY_FD", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
        "WATCHDOG_USEC", "WATCHDOG_PID", "AUSPEX_KEYD_PASSPHRASE_FD"}) {
    merged.erase(own);
  }
  for (const auto& [name, value] : spec.environment) merged[name] = value;
  if (spec.passed_fd >= 0) merged[spec.passed_as] = std::to_string(spec.passed_fd);
  if (ready_fd >= 0) merged["AUSPEX_READY_FD"] = std::to_string(ready_fd);
  std::vector<std::string> out;
  out.reserve(merged.size());
  for (const auto& [name, value] : merged) out.push_back(Cat(name, "=", value));
  return out;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

struct ExecPlan {
  const char* program;
  char* const* argv;
  char* const* envp;
  pid_t parent;
  int stdin_fd, stdout_fd, stderr_fd, ready_fd, passed_fd;
  bool outlives_parent;
};

// Runs in the forked child of a process that may have threads: only calls that are safe after fork.
[[noreturn]] void ExecChild(const ExecPlan& plan) {
  if (plan.outlives_parent) {
    setsid();
  } else {
    setpgid(0, 0);
    // The parent may have died before the request was made: then nobody would ever signal this
    // process.
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != plan.parent) _exit(127);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int signal : {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::signal(signal, SIG_DFL);
  if (dup2(plan.stdin_fd, 0) < 0 || dup2(plan.stdout_fd, 1) < 0 || dup2(plan.stderr_fd, 2) < 0) {
    _exit(127);
  }
  // Whatever a library opened without O_CLOEXEC stays here.
  syscall(SYS_close_range, 3U, UINT_MAX, 4U /* CLOSE_RANGE_CLOEXEC */);
  for (int fd : {plan.ready_fd, plan.passed_fd}) {
    if (fd >= 0) fcntl(fd, F_SETFD, 0);
  }
  execve(plan.program, plan.argv, plan.envp);
  _exit(127);
}

}  // namespace

absl::StatusOr<Child> Child::Start(const ChildSpec& spec) {
  if (access(spec.program.c_str(), X_OK) != 0) return ErrnoStatus(errno, "run", spec.program);
  UniqueFd null_fd(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null_fd) return ErrnoStatus(errno, "open", "/dev/null");
  UniqueFd ready_read, ready_write;
  if (spec.ready_pipe) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe for", spec.program);
    ready_read.Reset(ends[0]);
    ready_write.Reset(ends[1]);
  }
  // All that needs memory happens before fork.
  std::vector<std::string> arguments{spec.program};
  arguments.insert(arguments.end(), spec.arguments.begin(), spec.arguments.end());
  std::vector<std::string> environment = MergedEnvironment(spec, ready_write.get());
  const std::vector<char*> argv = Pointers(arguments);
  const std::vector<char*> envp = Pointers(environment);
  const ExecPlan plan{spec.program.c_str(),
                      argv.data(),
                      envp.data(),
                      getpid(),
                      null_fd.get(),
                      spec.stdout_fd >= 0 ? spec.stdout_fd : 1,
                      spec.stderr_fd >= 0 ? spec.stderr_fd : 2,
                      ready_write.get(),
                      spec.passed_fd,
                      spec.outlives_parent};
  const pid_t pid = fork();
  if (pid < 0) return ErrnoStatus(errno, "fork for", spec.program);
  if (pid == 0) ExecChild(plan);
  Child child;
  child.pid_ = pid;
  child.ready_ = std::move(ready_read);
  return child;
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), ready_(std::move(other.ready_)) {}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    if (running()) Stop(0);
    pid_ = std::exchange(other.pid_, 0);
    ready_ = std::move(other.ready_);
  }
  return *this;
}

Child::~Child() {
  if (running()) Stop(0);
}

bool Child::TakeReady() {
  if (!ready_) return false;
  char octet = 0;
  ssize_t got;
  do {
    got = read(ready_.get(), &octet, 1);
  } while (got < 0 && errno == EINTR);
  ready_.Reset();
  return got == 1;
}

Child::Readiness Child::WaitReady(int timeout_ms) {
  if (!ready_) return running() ? Readiness::kReady : Readiness::kExited;
  const int64_t deadline = NowMs() + timeout_ms;
  for (;;) {
    const int64_t left = deadline - NowMs();
    if (left <= 0) return Readiness::kTimeout;
    pollfd entry{ready_.get(), POLLIN, 0};
    const int got = poll(&entry, 1, static_cast<int>(left));
    if (got > 0) return TakeReady() ? Readiness::kReady : Readiness::kExited;
    if (got < 0 && errno != EINTR) return Readiness::kExited;
  }
}

void Child::Signal(int signal) const {
  if (running()) kill(pid_, signal);
}

std::optional<int> Child::Poll() {
  if (!running()) return std::nullopt;
  int status = 0;
  const pid_t got = waitpid(pid_, &status, WNOHANG);
  if (got != pid_) return std::nullopt;
  pid_ = 0;
  return status;
}

std::optional<int> Child::WaitFor(int timeout_ms) {
  const int64_t deadline = NowMs() + timeout_ms;
  UniqueFd pid_fd(running() ? static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)) : -1);
  for (;;) {
    if (!running()) return std::nullopt;
    if (std::optional<int> status = Poll()) return status;
    const int64_t left = deadline - NowMs();
    if (left <= 0) return std::nullopt;
    pollfd entry{pid_fd.get(), POLLIN, 0};
    // A kernel without pidfd_open looks again every 5 ms.
    poll(&entry, pid_fd ? 1 : 0, pid_fd ? static_cast<int>(left) : 5);
  }
}

int Child::Stop(int timeout_ms) {
  if (!running()) return 0;
  if (timeout_ms > 0) {
    Signal(SIGTERM);
    if (std::optional<int> status = WaitFor(timeout_ms)) return *status;
  }
  Signal(SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  return status;
}

pid_t Child::Release() { return std::exchange(pid_, 0); }

std::string DescribeEnd(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int signal = WTERMSIG(wait_status);
    if (signal == SIGSYS) {
      return "was killed by SIGSYS: denied system call (the kernel's log names it): a defect, or "
             "somebody inside that process";
    }
    return Cat("was killed by signal ", signal, " (", strsignal(signal), ")");
  }
  return Cat("exited with code ", WEXITSTATUS(wait_status));
}

int ExitCode(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

absl::StatusOr<std::string> FindProgram(std::string_view name) {
  char own[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", own, sizeof own);
  if (length <= 0) return ErrnoStatus(errno, "readlink", "/proc/self/exe");
  std::string folder(own, static_cast<size_t>(length));
  folder.resize(folder.rfind('/') + 1);
  const std::string beside = Cat(folder, name);
  if (access(beside.c_str(), X_OK) == 0) return beside;
  const std::string inside = Cat(folder, "../libexec/auspex/", name);
  if (access(inside.c_str(), X_OK) == 0) return inside;
  return absl::NotFoundError(Cat(name, " is neither in ", beside, " nor in ", inside));
}

}  // namespace auspex::cli
