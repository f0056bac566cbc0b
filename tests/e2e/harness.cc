// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/e2e/harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "common/files/files.h"
#include "tests/support/http_client.h"
#include "tests/support/pace.h"

namespace auspex::e2e {
namespace {

using Clock = std::chrono::steady_clock;

Clock::time_point After(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(
                            std::chrono::duration<double>(seconds * TestPace()));
}

int MsUntil(Clock::time_point end) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
  return static_cast<int>(std::max<long long>(0, left));
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Children that Process objects answer for; KillOrphans leaves them alone.
std::set<pid_t>& Owned() {
  static auto* owned = new std::set<pid_t>;
  return *owned;
}

// Reads /proc/<pid>/<file> with its NULs as spaces; empty when the process is gone, which can happen between open and read
// (a stream would throw there).
std::string ProcText(pid_t pid, const char* file) {
  const std::string path = "/proc/" + std::to_string(pid) + "/" + file;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  std::string text;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(fd, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
  }
  ::close(fd);
  for (char& c : text) {
    if (c == '\0') c = ' ';
  }
  return text;
}

std::vector<pid_t> AllPids() {
  std::vector<pid_t> pids;
  DIR* proc = ::opendir("/proc");
  if (proc == nullptr) return pids;
  while (const dirent* entry = ::readdir(proc)) {
    const pid_t pid = std::atoi(entry->d_name);
    if (pid > 0 && pid != ::getpid()) pids.push_back(pid);
  }
  ::closedir(proc);
  return pids;
}

// The fields of /proc/<pid>/stat behind the command's name: state, parent, ...
bool StateAndParent(pid_t pid, char& state, pid_t& parent) {
  const std::string stat = ProcText(pid, "stat");
  const size_t close = stat.rfind(')');
  if (close == std::string::npos) return false;
  return std::sscanf(stat.c_str() + close + 1, " %c %d", &state, &parent) == 2;
}

}  // namespace

TempFolder::TempFolder() {
  char name[] = "/tmp/ax-XXXXXX";
  const char* made = ::mkdtemp(name);
  EXPECT_NE(made, nullptr);
  path_ = name;
}

TempFolder::~TempFolder() {
  if (Environment("AUSPEX_KEEP_FOLDERS") == "1") return;
  (void)RemoveTree(path_);
}

std::string Program(const std::string& name) {
  const std::string folder = Environment("AUSPEX_BIN_DIR");
  EXPECT_FALSE(folder.empty()) << "AUSPEX_BIN_DIR is not set: run this test through ctest";
  return folder + "/" + name;
}

std::string ExamplePackage(const std::string& name) {
  return Environment("AUSPEX_BIN_DIR") + "/../share/examples/" + name;
}

std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void WriteText(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

Process::Process(const Options& options) {
  AdoptOrphans();
  std::vector<std::string> environment = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                                          "HOME=/nonexistent", "LC_ALL=C.UTF-8"};
  int pipe_ends[2] = {-1, -1};
  if (options.ready_pipe) {
    EXPECT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
    // Out of the way of the standard descriptors; without O_CLOEXEC it reaches the child alone,
    // which is the only one being made.
    environment.push_back("AUSPEX_READY_FD=" + std::to_string(pipe_ends[1]));
  }
  // What a sanitizer or the caller's shell sets up for our programs goes along.
  for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name))
      environment.push_back(std::string(name) + "=" + value);
  }
  for (const auto& [name, value] : options.environment) environment.push_back(name + "=" + value);
  std::vector<char*> argv, envp;
  for (const std::string& word : options.command) argv.push_back(const_cast<char*>(word.c_str()));
  for (const std::string& word : environment) envp.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  const int log = options.log.empty() ? ::open("/dev/null", O_WRONLY | O_CLOEXEC)
                                      : ::open(options.log.c_str(),
                                               O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  EXPECT_GE(log, 0) << options.log;
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  pid_ = ::fork();
  EXPECT_GE(pid_, 0);
  if (pid_ == 0) {
    // Only calls that are safe after fork.
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(null, 0);
    ::dup2(log, 1);
    ::dup2(log, 2);
    if (pipe_ends[1] >= 0) ::fcntl(pipe_ends[1], F_SETFD, 0);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  ::setpgid(pid_, pid_);
  Owned().insert(pid_);
  ::close(log);
  ::close(null);
  if (pipe_ends[1] >= 0) ::close(pipe_ends[1]);
  ready_fd_ = pipe_ends[0];
}

Process::Process(Process&& other) noexcept { *this = std::move(other); }

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(ready_fd_, other.ready_fd_);
  std::swap(code_, other.code_);
  return *this;
}

Process::~Process() {
  Kill();
  if (ready_fd_ >= 0) ::close(ready_fd_);
}

bool Process::running() { return pid_ > 0 && !Wait(0).has_value(); }

bool Process::WaitReady(double seconds) {
  const auto end = After(seconds);
  pollfd wait = {ready_fd_, POLLIN, 0};
  while (::poll(&wait, 1, MsUntil(end)) < 0 && errno == EINTR) {
  }
  char octet;
  return (wait.revents & POLLIN) != 0 && ::read(ready_fd_, &octet, 1) == 1;
}

void Process::Signal(int signal) const {
  if (pid_ > 0 && !code_) ::kill(pid_, signal);
}

std::optional<int> Process::Wait(double seconds) {
  if (pid_ <= 0) return -1;
  if (code_) return code_;
  Eventually(seconds, [&] {
    int status = 0;
    const pid_t seen = ::waitpid(pid_, &status, WNOHANG);
    if (seen != pid_) return false;
    code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    Owned().erase(pid_);
    return true;
  });
  return code_;
}

void Process::Kill() {
  if (pid_ <= 0) return;
  if (!code_) {
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    code_ = 128 + SIGKILL;
    Owned().erase(pid_);
  } else {
    ::kill(-pid_, SIGKILL);  // group members that outlived their leader
  }
}

Finished RunCommand(const std::vector<std::string>& command, double seconds,
                    const std::map<std::string, std::string>& environment) {
  TempFolder folder;
  // The shell keeps the two outputs apart; the command itself goes by position and is never parsed.
  std::vector<std::string> wrapped = {
      "/bin/sh", "-c",           "o=$1; e=$2; shift 2; exec \"$@\" >\"$o\" 2>\"$e\"",
      "sh",      folder / "out", folder / "err"};
  wrapped.insert(wrapped.end(), command.begin(), command.end());
  Process process({wrapped, environment, "", false});
  Finished finished;
  finished.code = process.Wait(seconds).value_or(-1);
  process.Kill();
  finished.out = ReadText(folder / "out");
  finished.err = ReadText(folder / "err");
  return finished;
}

void AdoptOrphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

void KillOrphans() {
  // A killed process's children come to us only when it is gone: look again until nothing is left.
  Eventually(5, [] {
    bool found = false;
    for (const pid_t pid : AllPids()) {
      char state = 0;
      pid_t parent = 0;
      if (!StateAndParent(pid, state, parent) || parent != ::getpid() || Owned().contains(pid))
        continue;
      found = true;
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, WNOHANG);
    }
    return !found;
  });
}

std::vector<std::string> ProcessesNaming(const std::string& text) {
  std::vector<std::string> found;
  for (const pid_t pid : AllPids()) {
    char state = 0;
    pid_t parent = 0;
    if (!StateAndParent(pid, state, parent) || state == 'Z') continue;
    const std::string command = ProcText(pid, "cmdline");
    if (command.find(text) != std::string::npos ||
        ProcText(pid, "environ").find(text) != std::string::npos) {
      found.push_back(std::to_string(pid) + " " + command);
    }
  }
  return found;
}

std::vector<pid_t> PidsNaming(const std::string& first, const std::string& second) {
  std::vector<pid_t> found;
  for (const pid_t pid : AllPids()) {
    const std::string command = ProcText(pid, "cmdline");
    if (command.find(first) != std::string::npos && command.find(second) != std::string::npos) {
      found.push_back(pid);
    }
  }
  return found;
}

long AnonymousKib(pid_t pid) {
  std::istringstream lines(ProcText(pid, "status"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("RssAnon:")) return std::atol(line.c_str() + 8);
  }
  return 0;
}

bool Eventually(double seconds, const std::function<bool()>& fact) {
  using std::chrono::milliseconds;
  constexpr Clock::duration kShortest = milliseconds(20);
  // Where asking takes long too, it must not take the time of what is waited for.
  const auto longest = milliseconds(std::lround(TestInterval(20)));
  const auto begun = Clock::now(), end = After(seconds);
  for (;;) {
    if (fact()) return true;
    const auto now = Clock::now();
    if (now >= end) return false;
    std::this_thread::sleep_for(
        std::clamp<Clock::duration>((now - begun) / 10, kShortest, longest));
  }
}

HttpAnswer Http(int port, const std::string& method, const std::string& target,
                const std::vector<std::pair<std::string, std::string>>& headers,
                const std::string& body) {
  testing::HeaderList all = headers;
  if (!body.empty()) all.emplace_back("Content-Type", "application/json");
  testing::HttpAnswer answer = testing::HttpCall(port, method, target, all, body);
  return {answer.status, std::move(answer.body)};
}

}  // namespace auspex::e2e
