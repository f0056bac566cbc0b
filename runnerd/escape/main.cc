// SPDX-License-Identifier: AGPL-3.0-only
// auspex-escape-probe: a hostile tenant's executor. Its unit's payload says what to do:
//   {"attempt":"table","targets":{...}}  tries every row of the table; the output's payload maps
//                                        each name to its outcome
//   {"attempt":"neighbour","own":NAME,"other":NAME}  looks for another unit that does the same
//   {"attempt":NAME}                     ends in the way NAME of the table of endings
// Static, since it is a package by itself. It does nothing that needs a sandbox to be harmless: the
// tests run it outside too.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "runnerd/escape/attempt.h"
#include "runnerd/escape/table.h"

namespace auspex::escape {
namespace {

// For one that hangs: 2 GiB of files take a slow machine its time.
constexpr int kAttemptMillis = 60'000;

std::string ReadAll(const char* path) {
  std::string text;
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  char buffer[4096];
  for (ssize_t n; file >= 0 && (n = read(file, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  close(file);
  return text;
}

const Try* Find(std::string_view name) {
  for (const auto& tries :
       {FileTries(), NetworkTries(), ProcessTries(), KernelTries(), BombTries()}) {
    for (const Try& one : tries) {
      if (one.name == name) return &one;
    }
  }
  return nullptr;
}

// The attempt in a process group of its own, which is killed whole when it is over.
std::string RunOne(const Try& one, const Targets& targets) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return "no-pipe";
  const pid_t child = fork();
  if (child < 0) return "no-process";
  if (child == 0) {
    setpgid(0, 0);
    close(ends[0]);
    const std::string outcome = one.run(targets);
    (void)!write(ends[1], outcome.data(), outcome.size());
    _exit(0);
  }
  close(ends[1]);
  std::string outcome;
  pollfd entry{ends[0], POLLIN, 0};
  char buffer[256];
  const bool said = poll(&entry, 1, kAttemptMillis) > 0;
  if (!said) outcome = "timeout";
  const ssize_t n = said ? read(ends[0], buffer, sizeof buffer) : 0;
  if (n > 0) outcome.assign(buffer, static_cast<size_t>(n));
  close(ends[0]);
  // One that said nothing has ended by a signal, which its status tells.
  if (!outcome.empty()) {
    kill(-child, SIGKILL);
    kill(child, SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  kill(-child, SIGKILL);
  if (!outcome.empty()) return outcome;
  if (!WIFSIGNALED(status)) return "silent";
  const char* name = sigabbrev_np(WTERMSIG(status));
  return std::string("SIG") + (name == nullptr ? "?" : name);
}

std::string RunTable(const Targets& targets) {
  std::string json = "{\"payload\":{";
  for (const Attempt& attempt : Attempts()) {
    const Try* one = Find(attempt.name);
    if (json.back() != '{') json += ',';
    json += '"';
    json += attempt.name;
    // Outside of a sandbox some would do harm.
    const bool left_out = attempt.control == Control::kNone && targets.Get("outside") == "yes";
    const std::string outcome = left_out         ? "not-tried"
                                : one == nullptr ? "not-written"
                                                 : RunOne(*one, targets);
    json += "\":\"" + outcome + '"';
  }
  return json + "}}";
}

int Main(int argc, char** argv) {
  std::string input, output;
  for (int i = 1; i + 1 < argc; ++i) {
    if (strcmp(argv[i], "--input") == 0) input = argv[i + 1];
    if (strcmp(argv[i], "--output") == 0) output = argv[i + 1];
  }
  if (input.empty() || output.empty()) {
    fprintf(stderr, "auspex-escape-probe: needs --input FILE and --output FILE\n");
    return 2;
  }
  const Targets targets(ReadAll(input.c_str()), output.substr(0, output.rfind('/')));
  const std::string what = targets.Get("attempt");
  if (what == "table") return WriteOutput(output, RunTable(targets)) ? 0 : 3;
  if (what == "neighbour") return Neighbour(targets, output);
  const int status = End(what, output);
  if (status < 0) fprintf(stderr, "auspex-escape-probe: no ending '%s'\n", what.c_str());
  return status < 0 ? 2 : status;
}

}  // namespace
}  // namespace auspex::escape

int main(int argc, char** argv) { return auspex::escape::Main(argc, argv); }
