// SPDX-License-Identifier: AGPL-3.0-only
// The gate's side. Everything here runs in a process with one thread that never sees a secret.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "common/base/unique_fd.h"
#include "common/harden/harden.h"
#include "keyd/gate/gate.h"
#include "keyd/gate/protocol.h"

namespace auspex::keyd {
namespace {

constexpr int kGateDone = 0, kGateBroken = 3, kHelperNotStarted = 127;

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

const char* WordOf(uint32_t command) {
  switch (static_cast<HelperGate::Command>(command)) {
    case HelperGate::Command::kProbe:
      return "probe";
    case HelperGate::Command::kLoad:
      return "load";
    case HelperGate::Command::kStore:
      return "store";
    case HelperGate::Command::kDelete:
      return "delete";
  }
  return nullptr;
}

// The helper needs the libraries, the bus's socket and nothing of its own; what it may start is
// itself and the loader. Kernels without Landlock leave this layer out.
void ConfineFiles(const std::string& helper) {
  FileRules rules;
  rules.read_only = {"/usr",  "/lib",        "/lib64",       "/etc",
                     "/proc", "/dev/random", "/dev/urandom", "/sys/devices/system/cpu"};
  rules.execute = {helper, "/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"};
  (void)RestrictFiles(rules);
}

// Three pipes; index 0 reads, 1 writes.
struct Pipes {
  std::array<UniqueFd, 2> in, out, err;
  int Open() {
    for (auto* ends : {&in, &out, &err}) {
      int fds[2];
      if (::pipe2(fds, O_CLOEXEC) != 0) return errno;
      (*ends)[0].Reset(fds[0]);
      (*ends)[1].Reset(fds[1]);
    }
    return 0;
  }
};

[[noreturn]] void BecomeHelper(const Pipes& pipes, pid_t gate, const char* program,
                               const char* word, char* const* environment) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != gate) ::_exit(kHelperNotStarted);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int signal : {SIGPIPE, SIGXFSZ, SIGCHLD}) ::signal(signal, SIG_DFL);
  if (::dup2(pipes.in[0].get(), 0) < 0 || ::dup2(pipes.out[1].get(), 1) < 0 ||
      ::dup2(pipes.err[1].get(), 2) < 0) {
    ::_exit(kHelperNotStarted);
  }
  ::syscall(SYS_close_range, 3U, ~0U, 0U);
  // The gate ends the helper and nobody else: there is to be nobody else, in this session or another.
  if (!DenyProcesses().ok()) ::_exit(kHelperNotStarted);
  char name[] = "auspex-keyd-secrets";
  char argument[16] = {};
  std::strncpy(argument, word, sizeof argument - 1);
  char* const argv[] = {name, argument, nullptr};
  ::execve(program, argv, environment);
  ::_exit(kHelperNotStarted);
}

// Sends `started` with the ends that are keyd's.
bool SendStarted(int socket, const GateStarted& started, const Pipes* pipes) {
  iovec part{const_cast<GateStarted*>(&started), sizeof started};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))] = {};
  if (pipes != nullptr) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(3 * sizeof(int));
    const int ends[3] = {pipes->in[1].get(), pipes->out[0].get(), pipes->err[0].get()};
    std::memcpy(CMSG_DATA(header), ends, sizeof ends);
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof started);
}

// Waits until the helper has ended; kills it when its time is over or keyd is gone.
GateEnded Await(int socket, pid_t helper, uint32_t timeout_ms) {
  GateEnded ended{};
  const int64_t deadline = NowMs() + timeout_ms;
  const UniqueFd watch(static_cast<int>(::syscall(SYS_pidfd_open, helper, 0)));
  for (;;) {
    const pid_t got = ::waitpid(helper, &ended.wait_status, WNOHANG);
    if (got == helper || (got < 0 && errno != EINTR)) return ended;
    const int64_t left = deadline - NowMs();
    pollfd waits[2] = {{socket, POLLRDHUP, 0}, {watch.get(), POLLIN, 0}};
    // Without pidfd_open the helper is looked at every 10 ms.
    const int step = watch ? static_cast<int>(left) : 10;
    if (left > 0) ::poll(waits, watch ? 2 : 1, step);
    const bool abandoned = (waits[0].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    if (left <= 0 || abandoned) {
      ended.timed_out = left <= 0 ? 1 : 0;
      ::kill(helper, SIGKILL);
      while (::waitpid(helper, &ended.wait_status, 0) < 0 && errno == EINTR) {
      }
      return ended;
    }
  }
}

// One request. False ends the gate.
bool Answer(int socket, const GateRequest& request, const char* program, char* const* environment) {
  const char* word = WordOf(request.command);
  if (word == nullptr || request.timeout_ms < 1 || request.timeout_ms > kMaxHelperMs) return false;
  pid_t helper = -1;
  {
    Pipes pipes;
    GateStarted started{pipes.Open()};
    if (started.error == 0) {
      const pid_t gate = ::getpid();
      helper = ::fork();
      if (helper == 0) BecomeHelper(pipes, gate, program, word, environment);
      if (helper < 0) started.error = errno;
    }
    const bool sent = SendStarted(socket, started, started.error == 0 ? &pipes : nullptr);
    if (!sent && helper > 0) ::kill(helper, SIGKILL);
    if (started.error != 0) return sent;
  }
  const GateEnded ended = Await(socket, helper, request.timeout_ms);
  return ::send(socket, &ended, sizeof ended, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof ended);
}

}  // namespace

void GateMain(int socket, int parent, const std::string& helper,
              std::vector<std::string> environment) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent) ::_exit(kGateBroken);
  ::prctl(PR_SET_NAME, "keyd-gate");
  if (!DisableDumps().ok() || !NoNewPrivileges().ok() || !OnlyUnixSockets().ok()) {
    ::_exit(kGateBroken);
  }
  ConfineFiles(helper);
  std::vector<char*> envp;
  for (std::string& variable : environment) envp.push_back(variable.data());
  envp.push_back(nullptr);
  // SIGTERM and SIGINT stay blocked, as keyd blocked them: the gate ends after keyd, never before.
  for (;;) {
    GateRequest request{};
    const ssize_t got = ::recv(socket, &request, sizeof request, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) ::_exit(kGateDone);
    if (got != static_cast<ssize_t>(sizeof request)) ::_exit(kGateBroken);
    if (!Answer(socket, request, helper.c_str(), envp.data())) ::_exit(kGateBroken);
  }
}

}  // namespace auspex::keyd
