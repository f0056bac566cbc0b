// SPDX-License-Identifier: AGPL-3.0-only
// Stands in for the supervising command and for daemons, for the tests of the supervisor.
//
//   cli_stub supervise DIR NAME:BEHAVIOUR...   a Supervisor over `cli_stub daemon` children; exits
//   with its result cli_stub daemon DIR NAME BEHAVIOUR         appends "NAME start PID" and, on
//   SIGTERM, "NAME stop" to DIR/events
//
// Behaviours: serve (ready, then until SIGTERM), refuse (exit 2), end0 and end1 (ready, then exit
// with it), stubborn (ready, ignores SIGTERM), orphan (as serve, with a grandchild that ignores
// SIGTERM in a session of its own).
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "cli/process/supervisor.h"

namespace {

void Event(const std::string& folder, const std::string& text) {
  const int fd =
      open((folder + "/events").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const std::string line = text + "\n";
  if (fd < 0 || write(fd, line.data(), line.size()) < 0) std::abort();
  close(fd);
}

void Ready() {
  const char* fd = std::getenv("AUSPEX_READY_FD");
  if (fd == nullptr || write(std::atoi(fd), "1", 1) != 1) std::abort();
  close(std::atoi(fd));
}

int Daemon(const std::string& folder, const std::string& name, const std::string& behaviour) {
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigprocmask(SIG_BLOCK, &term, nullptr);
  if (behaviour == "refuse") return 2;
  if (behaviour == "orphan") {
    const pid_t pid = fork();
    if (pid == 0) {
      setsid();
      for (;;) pause();  // SIGTERM is blocked
    }
    Event(folder, name + " orphan " + std::to_string(pid));
  }
  Event(folder, name + " start " + std::to_string(getpid()));
  Ready();
  if (behaviour == "end0") return 0;
  if (behaviour == "end1") return 1;
  for (;;) {
    int signal = 0;
    sigwait(&term, &signal);
    if (behaviour != "stubborn") break;
  }
  Event(folder, name + " stop");
  return 0;
}

int Supervise(const std::string& folder, int count, char** programs) {
  char own[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", own, sizeof own);
  auspex::cli::Supervisor::Options options;
  for (int i = 0; i < count; ++i) {
    const std::string text = programs[i];
    const std::string name = text.substr(0, text.find(':'));
    const std::string behaviour = text.substr(text.find(':') + 1);
    options.programs.push_back({name,
                                std::string(own, static_cast<size_t>(length)),
                                {"daemon", folder, name, behaviour},
                                behaviour == "end0" || behaviour == "end1"});
    options.check_after.push_back(name);
  }
  const char* refuse = std::getenv("STUB_CHECK_FAILS");
  options.check = [refuse, folder] {
    Event(folder, "check");
    return refuse == nullptr ? absl::OkStatus() : absl::FailedPreconditionError("not enrolled");
  };
  options.report = [](const std::string& event) { std::fprintf(stderr, "%s\n", event.c_str()); };
  options.first_pause_ms = 10;
  options.longest_pause_ms = 40;
  options.patience_ms = 500;
  return auspex::cli::Supervisor(std::move(options)).Run();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc >= 4 && std::strcmp(argv[1], "supervise") == 0)
    return Supervise(argv[2], argc - 3, argv + 3);
  if (argc == 5 && std::strcmp(argv[1], "daemon") == 0) return Daemon(argv[2], argv[3], argv[4]);
  return 99;
}
