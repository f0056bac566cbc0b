// SPDX-License-Identifier: AGPL-3.0-only
// A tenant's executor for tests, tame or hostile by its first argument:  tenant MODE [ARGUMENT]
// --input ... --output ...
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/runnerd/tenant/attempts.h"
#include "tests/runnerd/tenant/load.h"

namespace {

constexpr char kOutput[] = "/unit/output.json";

int Write(const std::string& text) {
  int fd = open(kOutput, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0) return 90;
  for (size_t at = 0; at < text.size();) {
    ssize_t n = write(fd, text.data() + at, text.size() - at);
    if (n <= 0) return 91;
    at += static_cast<size_t>(n);
  }
  close(fd);
  return 0;
}

int WriteOk() { return Write("{\"payload\":{\"done\":true}}"); }

std::string ReadAll(const char* path) {
  std::string text;
  if (FILE* file = fopen(path, "r")) {
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
    fclose(file);
  }
  return text;
}

// A child that nobody waits for, in a session of its own, that lives for a minute and keeps what it
// inherited open.
void Detach() {
  if (fork() == 0) {
    setsid();
    if (fork() == 0) {
      signal(SIGTERM, SIG_IGN);
      signal(SIGHUP, SIG_IGN);
      sleep(60);
    }
    _exit(0);
  }
}

int Flood(int fd, size_t octets) {
  std::string piece(64 * 1024, 'x');
  piece.back() = '\n';
  for (size_t sent = 0; sent < octets; sent += piece.size()) {
    if (write(fd, piece.data(), piece.size()) <= 0) break;
  }
  const char last[] = "the last line\n";
  return write(fd, last, sizeof last - 1) > 0 ? 0 : 92;
}

int Forks(int most) {
  int made = 0;
  for (; made < most; ++made) {
    pid_t child = fork();
    if (child < 0) break;
    if (child == 0) {
      pause();
      _exit(0);
    }
  }
  fprintf(stderr, "made %d\n", made);
  return made;
}

int Run(const std::string& mode, const std::string& argument, int argc, char** argv) {
  if (mode == "ok") return WriteOk();
  if (mode == "write") return Write(argument);
  if (mode == "none") return 0;
  if (mode == "attempts") return Write(AttemptEverything(argument.c_str()));
  if (mode == "input") return Write("{\"payload\":" + ReadAll("/unit/input.json") + "}");
  if (mode == "arguments") {
    std::string list;
    for (int i = 0; i < argc; ++i) list += std::string(i > 0 ? "," : "") + "\"" + argv[i] + "\"";
    return Write("{\"payload\":{\"arguments\":[" + list + "]}}");
  }
  if (mode == "link") return symlink("/etc/passwd", kOutput);
  if (mode == "endless-link") return symlink("/dev/zero", kOutput);
  if (mode == "open") {  // the error of opening the argument; 0: it opens
    const int fd = open(argument.c_str(), O_RDWR);
    const int error = fd < 0 ? errno : 0;
    return Write("{\"payload\":{\"error\":" + std::to_string(error) + "}}");
  }
  if (mode == "variable") {
    const char* value = getenv(argument.c_str());
    return Write(std::string("{\"payload\":{\"value\":\"") +
                 (value == nullptr ? "(unset)" : value) + "\"}}");
  }
  if (mode == "fifo") return mkfifo(kOutput, 0600);
  if (mode == "folder") return mkdir(kOutput, 0700);
  if (mode == "sparse")
    return open(kOutput, O_WRONLY | O_CREAT, 0600) >= 0 && truncate(kOutput, 32 << 20) == 0 ? 0
                                                                                            : 93;
  if (mode == "closed") return Write("{}") != 0 || chmod(kOutput, 0) != 0;
  if (mode == "large") return Write("{\"payload\":{\"x\":\"" + std::string(2 << 20, 'x') + "\"}}");
  if (mode == "deep")
    return Write("{\"payload\":{\"x\":" + std::string(100000, '[') + std::string(100000, ']') +
                 "}}");
  if (mode == "exit") {
    fprintf(stderr, "it is broken\n");
    return atoi(argument.c_str());
  }
  if (mode == "crash") return raise(SIGSEGV);
  if (mode == "sleep") return static_cast<int>(sleep(60)) + WriteOk();
  if (mode == "slow") {
    usleep(argument[0] >= '0' && argument[0] <= '9' ? atoi(argument.c_str()) * 1000 : 700'000);
    return WriteOk();
  }
  if (mode == "stubborn") {
    signal(SIGTERM, SIG_IGN);
    write(2, "ready\n", 6);
    for (;;) sleep(60);
  }
  if (mode == "detach") {
    Detach();
    return WriteOk();
  }
  if (mode == "flood") {
    Flood(1, 64 << 20);
    Flood(2, 64 << 20);
    return 7;
  }
  if (mode == "forks") {
    return Write("{\"payload\":{\"made\":" + std::to_string(Forks(atoi(argument.c_str()))) + "}}");
  }
  if (mode == "fill") {  // until nothing more fits, then report how much did
    std::string piece(1 << 20, 'x');
    long megabytes = 0;
    for (int file = 0; file < 64; ++file) {
      int fd = open(("/unit/fill" + std::to_string(file)).c_str(), O_WRONLY | O_CREAT, 0600);
      signal(SIGXFSZ, SIG_IGN);
      while (write(fd, piece.data(), piece.size()) == static_cast<ssize_t>(piece.size()))
        ++megabytes;
      close(fd);
    }
    unlink("/unit/fill0");
    return Write("{\"payload\":{\"megabytes\":" + std::to_string(megabytes) + "}}");
  }
  if (mode == "files") {  // as many as it may, spread over folders
    const int most = atoi(argument.c_str());
    for (int i = 0; i < most; ++i) {
      const std::string folder = "/dev/shm/" + std::to_string(i / 1000);
      if (i % 1000 == 0) mkdir(folder.c_str(), 0700);
      const int fd = open((folder + "/" + std::to_string(i)).c_str(), O_WRONLY | O_CREAT, 0600);
      if (fd >= 0) close(fd);
    }
    if (most > 1'000'000) sleep(60);
    return WriteOk();
  }
  if (mode == "memory") {
    std::vector<char*> held;
    for (int i = 0; i < 64; ++i) {
      char* block = static_cast<char*>(malloc(64 << 20));
      if (block == nullptr) return Write("{\"payload\":{\"blocks\":" + std::to_string(i) + "}}");
      held.push_back(block);  // never touched: address space is what is limited
    }
    return Write("{\"payload\":{\"blocks\":64}}");
  }
  if (mode == "rewrite-later") {  // a grandchild goes on writing after the executor ended
    if (fork() == 0) {
      for (;;) Write("{\"payload\":{\"late\":true}}");
    }
    return WriteOk();
  }
  if (mode == "touch") return TouchInChildren(atoi(argument.c_str()), 4) ? WriteOk() : 94;
  if (mode == "fork-chain") ForkChain();
  if (mode == "work") {  // MILLISECONDS PROCESSES
    const Work done = WorkFor(atoi(argument.c_str()), argc > 3 ? atoi(argv[3]) : 1);
    return Write("{\"payload\":{\"rounds\":" + std::to_string(done.rounds) +
                 ",\"longest_gap_ms\":" + std::to_string(done.longest_gap_ms) + "}}");
  }
  return 99;
}

// In the place of auspex-unpack, which has no arguments: what an archive would make of it that took it
// over. The archive is one word.
int RunAsUnpacker(const std::string& archive) {
  const auto say = [](const std::string& text) {
    return write(1, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  };
  if (archive == "many") {
    for (int i = 0;; ++i) {
      if (!say("file 1 a/" + std::to_string(i) + "\ndata 1\nx")) return 1;
    }
  }
  if (archive == "large") {
    const std::string mebibyte(1 << 20, 'x');
    for (int i = 0;; ++i) {
      if (!say("file 1048576 " + std::to_string(i) + "\ndata 1048576\n" + mebibyte)) return 1;
    }
  }
  if (archive == "climb") say("file 1 ../../x\ndata 1\nx");
  if (archive == "write") {
    std::string where;
    for (const char* folder : {"", "/out", "/tmp", "/unit", "/dev", "/dev/shm", "/run",
                               "/run/auspex", "/etc", "/proc/self", "/var/tmp"}) {
      const std::string path = std::string(folder) + "/written";
      if (open(path.c_str(), O_WRONLY | O_CREAT, 0600) >= 0) where += " " + path;
    }
    if (!where.empty()) return say("unsafe 0 0 wrote" + where + "\n") ? 0 : 1;
  }
  say("unsafe 0 0 did all that it could\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return RunAsUnpacker(ReadAll("/dev/stdin"));
  return Run(argv[1], argc > 2 ? argv[2] : "", argc, argv);
}
