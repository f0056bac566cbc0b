// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/cli/run_command.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/base/unique_fd.h"

namespace auspex::cli {
namespace {

struct Pipe {
  UniqueFd read, write;
};

Pipe MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> Arguments(const std::string& program,
                                   const std::vector<std::string>& arguments) {
  std::vector<std::string> out{program};
  out.insert(out.end(), arguments.begin(), arguments.end());
  return out;
}

// Reads what is there; false at the end.
bool ReadSome(int fd, std::string& into) {
  char buffer[4096];
  const ssize_t got = read(fd, buffer, sizeof buffer);
  if (got > 0) into.append(buffer, static_cast<size_t>(got));
  return got > 0;  // a closed pseudo-terminal is an error, a closed pipe 0
}

}  // namespace

Outcome RunProgram(const std::string& program, const std::vector<std::string>& arguments,
                   const RunOptions& options) {
  std::vector<std::string> environment{"PATH=/usr/bin:/bin"};
  for (const auto& [name, value] : options.environment) environment.push_back(name + "=" + value);
  std::vector<std::string> argument_texts = Arguments(program, arguments);
  std::vector<char*> argv = Pointers(argument_texts);
  std::vector<char*> envp = Pointers(environment);
  Pipe in = MakePipe(), out = MakePipe(), err = MakePipe();
  if (options.on_terminal) {
    int master = -1, slave = -1;
    winsize size{24, 80, 0, 0};
    if (openpty(&master, &slave, nullptr, nullptr, &size) != 0) std::abort();
    out = {UniqueFd(master), UniqueFd(slave)};
  }
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(in.read.get(), 0);
    dup2(out.write.get(), 1);
    dup2(err.write.get(), 2);
    execve(program.c_str(), argv.data(), envp.data());
    _exit(126);
  }
  in.read.Reset();
  out.write.Reset();
  err.write.Reset();
  if (!options.input.empty() &&
      write(in.write.get(), options.input.data(), options.input.size()) < 0)
    std::abort();
  in.write.Reset();

  Outcome outcome;
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::seconds(options.timeout_seconds);
  bool out_open = true, err_open = true;
  while (out_open || err_open) {
    pollfd entries[] = {{out_open ? out.read.get() : -1, POLLIN, 0},
                        {err_open ? err.read.get() : -1, POLLIN, 0}};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                          deadline - std::chrono::steady_clock::now())
                          .count();
    if (left <= 0 || poll(entries, 2, static_cast<int>(left)) == 0) {
      kill(pid, SIGKILL);
      break;
    }
    if (entries[0].revents != 0) out_open = ReadSome(out.read.get(), outcome.out);
    if (entries[1].revents != 0) err_open = ReadSome(err.read.get(), outcome.err);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  outcome.code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return outcome;
}

pid_t StartProgram(const std::string& program, const std::vector<std::string>& arguments,
                   const std::string& log) {
  std::vector<std::string> argument_texts = Arguments(program, arguments);
  std::vector<char*> argv = Pointers(argument_texts);
  UniqueFd out(open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  UniqueFd in(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(in.get(), 0);
    dup2(out.get(), 1);
    dup2(out.get(), 2);
    execv(program.c_str(), argv.data());
    _exit(126);
  }
  return pid;
}

std::string BuiltProgram(const std::string& name) {
  const char* folder = std::getenv("AUSPEX_BIN_DIR");
  return std::string(folder != nullptr ? folder : "bin") + "/" + name;
}

std::vector<pid_t> ProcessesWith(const std::string& text) {
  std::vector<pid_t> out;
  DIR* proc = opendir("/proc");
  if (proc == nullptr) return out;
  while (const dirent* entry = readdir(proc)) {
    const pid_t pid = std::atoi(entry->d_name);
    if (pid <= 0 || pid == getpid()) continue;
    std::ifstream file(std::string("/proc/") + entry->d_name + "/cmdline");
    std::stringstream line;
    line << file.rdbuf();
    if (line.str().find(text) != std::string::npos) out.push_back(pid);
  }
  closedir(proc);
  return out;
}

bool Eventually(const std::function<bool()>& condition, int seconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    poll(nullptr, 0, 5);
  }
  return true;
}

}  // namespace auspex::cli
