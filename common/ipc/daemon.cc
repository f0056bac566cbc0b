// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/daemon.h"

#include <grp.h>
#include <malloc.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"
#include "common/files/files.h"
#include "common/ipc/listen.h"
#include "common/ipc/service_manager.h"
#include "common/log/log.h"

namespace auspex {

struct Daemon::State {
  std::string name;
  Layout layout;
  Config config;
  std::string state_dir;
  std::map<std::string, std::string, std::less<>> flags;
  std::map<std::string, PeerRule, std::less<>> system_peers;  // empty in the other modes
  UniqueFd lock, signals, stop;
  ServiceManager manager;
};

namespace {

constexpr std::string_view kVersion = AUSPEX_VERSION;

// A predecessor whose supervisor was killed may still be ending its unit; a second worker beside a living one is refused after this.
constexpr int kInstancePatienceMs = 10'000;
constexpr int kInstanceLookMs = 20;
constexpr int kPauseBeforeRetryMs = 10'000;

absl::StatusOr<UniqueFd> AwaitInstanceLock(const std::string& path) {
  for (int waited = 0;; waited += kInstanceLookMs) {
    absl::StatusOr<UniqueFd> lock = LockInstance(path);
    if (lock.ok() || !absl::IsFailedPrecondition(lock.status()) || waited >= kInstancePatienceMs)
      return lock;
    if (waited == 0)
      LogInfo("waiting_for_predecessor", {{"cause", std::string(lock.status().message())}});
    ::poll(nullptr, 0, kInstanceLookMs);
  }
}

void PrintHelp(std::string_view name, const std::vector<Daemon::Flag>& extra) {
  std::printf(
      "auspex-%.*s: one daemon of an Auspex worker; `auspex daemon` or systemd starts it.\n\n"
      "  --home DIR     configuration, state and sockets under one folder\n"
      "  --system       /etc/auspex, /var/lib/auspex, /run/auspex\n"
      "  --config FILE  read only this configuration file\n"
      "  --verbose      debug log\n"
      "  --version, --help\n",
      static_cast<int>(name.size()), name.data());
  for (const Daemon::Flag& flag : extra) {
    std::printf("  %s%s  %s\n", flag.name.c_str(), flag.takes_value ? " VALUE" : "",
                flag.help.c_str());
  }
}

[[noreturn]] void UsageError(std::string_view name, const std::string& message) {
  std::fprintf(stderr, "auspex-%.*s: %s (see --help)\n", static_cast<int>(name.size()), name.data(),
               message.c_str());
  std::exit(2);
}

// Keeps the heap close to what is in use: one pool for all threads, where each would get one of its own that keeps its peak, and
// large pieces (results, packages) given back as soon as they are freed, where the C library would raise the threshold for that.
void BoundHeap() {
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_MMAP_THRESHOLD, 128 * 1024);
}

// Who may be whose peer in system mode. Looked up once, at start: a daemon that has confined itself cannot read the user database.
std::map<std::string, PeerRule, std::less<>> SystemPeers() {
  std::map<std::string, PeerRule, std::less<>> peers;
  PeerRule& owner = peers["cli"];
  owner.uids.push_back(0);
  if (const group* owners = ::getgrnam("auspex"); owners != nullptr)
    owner.gids.push_back(owners->gr_gid);
  for (const char* name : {"netd", "runnerd"}) {
    // A peer daemon that has no user on this system cannot be let in: the rule then allows nobody.
    PeerRule& rule = peers[name];
    if (const passwd* user = ::getpwnam(Cat("auspex-", name).c_str()); user != nullptr) {
      rule.uids.push_back(user->pw_uid);
    }
  }
  return peers;
}

}  // namespace

Daemon::Daemon(std::unique_ptr<State> state) : state_(std::move(state)) {}
Daemon::Daemon(Daemon&&) noexcept = default;
Daemon& Daemon::operator=(Daemon&&) noexcept = default;
Daemon::~Daemon() = default;

absl::StatusOr<Daemon> Daemon::Init(std::string_view name, int argc, char** argv,
                                    std::vector<Flag> extra) {
  Layout::Choice choice;
  std::map<std::string, std::string, std::less<>> flags;
  bool verbose = false;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 >= argc) UsageError(name, argument + " needs a value");
      return argv[++i];
    };
    if (argument == "--help") {
      PrintHelp(name, extra);
      std::exit(0);
    }
    if (argument == "--version") {
      std::printf("auspex-%s %s\n", std::string(name).c_str(), std::string(kVersion).c_str());
      std::exit(0);
    }
    if (argument == "--home") {
      choice.home = value();
    } else if (argument == "--system") {
      choice.system = true;
    } else if (argument == "--config") {
      choice.config = value();
    } else if (argument == "--verbose") {
      verbose = true;
    } else {
      const Flag* known = nullptr;
      for (const Flag& flag : extra) {
        if (flag.name == argument) known = &flag;
      }
      if (known == nullptr) UsageError(name, "unknown argument '" + argument + "'");
      flags[known->name] = known->takes_value ? value() : "1";
    }
  }
  BoundHeap();
  InitLog(name, verbose ? LogLevel::kDebug : LogLevel::kInfo);
  ASSIGN_OR_RETURN(Layout layout, Layout::Resolve(choice, ProcessEnvironment()));
  ASSIGN_OR_RETURN(Config config, LoadConfig(layout, ProcessEnvironment()));
  auto state = std::make_unique<State>(State{std::string(name),
                                             layout,
                                             config,
                                             layout.StateDir(name),
                                             std::move(flags),
                                             {},
                                             {},
                                             {},
                                             {},
                                             {}});
  if (layout.mode() == Layout::Mode::kSystem) {
    if (!SocketsWerePassed()) {
      return absl::FailedPreconditionError(
          Cat("--system: the service manager passed no sockets; start the service (systemctl start "
              "auspex-",
              name, "), not the program"));
    }
    state->system_peers = SystemPeers();
  }
  // netd keeps no state: its folder would only be something to explain.
  if (name != "netd") RETURN_IF_ERROR(MakePrivateDirectory(state->state_dir));
  if (layout.mode() != Layout::Mode::kSystem) {
    RETURN_IF_ERROR(MakePrivateDirectory(layout.RunDir(name)));
    ASSIGN_OR_RETURN(state->lock, AwaitInstanceLock(layout.RunDir(name) + "/lock"));
  }
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t stop_signals;
  ::sigemptyset(&stop_signals);
  ::sigaddset(&stop_signals, SIGTERM);
  ::sigaddset(&stop_signals, SIGINT);
  if (::sigprocmask(SIG_BLOCK, &stop_signals, nullptr) != 0) {
    return ErrnoStatus(errno, "block", "signals");
  }
  state->signals.Reset(::signalfd(-1, &stop_signals, SFD_CLOEXEC | SFD_NONBLOCK));
  state->stop.Reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!state->signals || !state->stop) return ErrnoStatus(errno, "make", "signal descriptors");
  state->manager = ServiceManager::FromEnvironment();
  return Daemon(std::move(state));
}

const Layout& Daemon::layout() const { return state_->layout; }
const Config& Daemon::config() const { return state_->config; }
const std::string& Daemon::state_dir() const { return state_->state_dir; }

std::string Daemon::flag(std::string_view name) const {
  const auto found = state_->flags.find(name);
  return found == state_->flags.end() ? "" : found->second;
}

PeerRule Daemon::AllowFor(std::string_view peer) const {
  if (state_->layout.mode() != Layout::Mode::kSystem) return PeerRule::Self();
  const auto found = state_->system_peers.find(peer);
  return found == state_->system_peers.end() ? PeerRule{} : found->second;
}

void Daemon::NotifyReady() {
  state_->manager.Tell("READY=1\nSTATUS=serving");
  if (const char* text = std::getenv("AUSPEX_READY_FD"); text != nullptr) {
    int fd = -1;
    std::from_chars(text, text + std::strlen(text), fd);
    ::unsetenv("AUSPEX_READY_FD");
    if (fd > 2) {
      [[maybe_unused]] const ssize_t written = ::write(fd, "R", 1);
      ::close(fd);
    }
  }
  LogInfo("ready", {{"pid", ::getpid()}});
}

int Daemon::WaitForStop(const std::function<std::string()>& status_text) {
  pollfd waits[2] = {{state_->signals.get(), POLLIN, 0}, {state_->stop.get(), POLLIN, 0}};
  for (;;) {
    const int ready = ::poll(waits, 2, state_->manager.PatienceMs());
    if (ready < 0 && errno != EINTR) return 0;
    if (ready == 0) state_->manager.Ping(status_text);
    if ((waits[0].revents & POLLIN) != 0) {
      signalfd_siginfo info{};
      if (::read(state_->signals.get(), &info, sizeof info) == sizeof info) {
        state_->manager.Tell("STOPPING=1\nSTATUS=stopping");
        LogInfo("stopping", {{"signal", info.ssi_signo}, {"sender", info.ssi_pid}});
        return static_cast<int>(info.ssi_signo);
      }
    }
    if ((waits[1].revents & POLLIN) != 0) {
      state_->manager.Tell("STOPPING=1");
      return 0;
    }
  }
}

void Daemon::PauseBeforeRetry(std::string_view cause) {
  if (!state_->manager.there()) return;
  state_->manager.TellStatus(Cat("failed at work, to be tried again: ", cause));
  pollfd wait{state_->signals.get(), POLLIN, 0};
  ::poll(&wait, 1, kPauseBeforeRetryMs);
}

void Daemon::RequestStop() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(state_->stop.get(), &one, sizeof one);
}

}  // namespace auspex
