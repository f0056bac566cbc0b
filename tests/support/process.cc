// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/support/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

namespace auspex::testing {
namespace {

constexpr auto kStep = std::chrono::milliseconds(5);

int StatusOf(int raw) { return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw); }

}  // namespace

std::string ProgramPath(const std::string& name) {
  const char* dir = std::getenv("AUSPEX_BIN_DIR");
  return std::string(dir != nullptr ? dir : "build/release/bin") + "/" + name;
}

Process::Process(std::vector<std::string> argv, const std::string& log_path,
                 const std::function<void()>& before_exec) {
  std::vector<char*> raw;
  for (std::string& arg : argv) raw.push_back(arg.data());
  raw.push_back(nullptr);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) std::abort();
  if (pid_ == 0) {
    ::setpgid(0, 0);
    // A test that dies takes its children along.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(126);
    const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    const int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, 0);
    ::dup2(log, 1);
    ::dup2(log, 2);
    if (before_exec) before_exec();
    ::execv(raw[0], raw.data());
    ::_exit(127);
  }
  ::setpgid(pid_, pid_);
}

Process::~Process() { Kill(); }

bool Process::Alive() {
  if (status_) return false;
  int raw = 0;
  if (::waitpid(pid_, &raw, WNOHANG) != pid_) return true;
  status_ = StatusOf(raw);
  return false;
}

void Process::Signal(int number) {
  if (Alive()) ::kill(pid_, number);
}

void Process::Kill() {
  if (status_) return;
  ::kill(-pid_, SIGKILL);
  int raw = 0;
  if (::waitpid(pid_, &raw, 0) == pid_) status_ = StatusOf(raw);
}

std::optional<int> Process::Wait(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (Alive()) {
    if (std::chrono::steady_clock::now() > deadline) return std::nullopt;
    std::this_thread::sleep_for(kStep);
  }
  return status_;
}

std::optional<int> Process::Stop(std::chrono::milliseconds patience) {
  Signal(SIGTERM);
  const std::optional<int> status = Wait(patience);
  if (!status) Kill();
  return status;
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

std::string WaitForLine(const std::string& path, Process& process,
                        std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const std::string text = ReadAll(path);
    if (const size_t end = text.find('\n'); end != std::string::npos) return text.substr(0, end);
    if (!process.Alive() || std::chrono::steady_clock::now() > deadline) return "";
    std::this_thread::sleep_for(kStep);
  }
}

}  // namespace auspex::testing
