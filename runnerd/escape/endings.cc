// SPDX-License-Identifier: AGPL-3.0-only
// Hostile ways to end a unit.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

#include "runnerd/escape/attempt.h"

namespace auspex::escape {
namespace {

using std::string_literals::operator""s;

constexpr char kGood[] = "{\"payload\":{\"done\":true}}";

int Write(const std::string& output, const std::string& text) {
  return WriteOutput(output, text) ? 0 : 91;
}

// Nobody waits for it, it has a session of its own, ignores what it can, and keeps every
// descriptor that it has.
void LeaveBehind() {
  if (fork() != 0) return;
  setsid();
  if (fork() != 0) _exit(0);
  for (int signal_number : {SIGTERM, SIGHUP, SIGINT}) signal(signal_number, SIG_IGN);
  for (;;) sleep(60);
}

int BindAt(const std::string& path) {
  const int s = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return bind(s, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? 0 : 92;
}

// More than any sandbox may hold; a million outside would hurt nobody either.
int Inodes(const std::string& folder) {
  for (int i = 0; i < 1'000'000; ++i) {
    const std::string inner = folder + "/" + std::to_string(i / 1000);
    if (i % 1000 == 0) mkdir(inner.c_str(), 0700);
    const int file = open((inner + "/" + std::to_string(i)).c_str(), O_WRONLY | O_CREAT, 0600);
    if (file >= 0) close(file);
  }
  for (;;) pause();
}

// Names that have confused programs: the kernel takes some, and none may reach anything outside.
int HostileNames(const std::string& folder) {
  const std::string names[] = {"..",
                               "../../escape",
                               std::string(256, 'n'),
                               std::string(255, 'n'),
                               "new\nline",
                               "\x1b[2J",
                               "\xe2\x80\xae"
                               "gpj.txt",
                               "\xff\xfe",
                               "-rf *",
                               "a\0b"s,
                               "$(reboot)",
                               " "};
  for (const std::string& name : names) {
    const int file = open((folder + "/" + name).c_str(), O_WRONLY | O_CREAT, 0600);
    if (file >= 0) close(file);
  }
  return 0;
}

int Output(std::string_view name, const std::string& output) {
  if (name == "output-missing") return 0;
  if (name == "output-empty") return Write(output, "");
  if (name == "output-link") return symlink("/etc/passwd", output.c_str());
  if (name == "output-link-to-device") return symlink("/dev/zero", output.c_str());
  if (name == "output-link-to-itself") return symlink(output.c_str(), output.c_str());
  if (name == "output-fifo") return mkfifo(output.c_str(), 0600);
  if (name == "output-folder") return mkdir(output.c_str(), 0700);
  if (name == "output-socket") return BindAt(output);
  if (name == "output-device")
    return mknod(output.c_str(), S_IFCHR | 0600, makedev(1, 5)) == 0 ? 0 : 77;
  if (name == "output-sparse") return Write(output, "{}") | truncate(output.c_str(), 32 << 20);
  if (name == "output-large") return Write(output, "{\"x\":\"" + std::string(2 << 20, 'x') + "\"}");
  if (name == "output-deep") {
    return Write(output, "{\"payload\":{\"x\":" + std::string(100'000, '[') +
                             std::string(100'000, ']') + "}}");
  }
  if (name == "output-nan") return Write(output, "{\"payload\":{\"x\":NaN}}");
  if (name == "output-infinity") return Write(output, "{\"payload\":{\"x\":-Infinity}}");
  if (name == "output-huge-exponent") return Write(output, "{\"payload\":{\"x\":1e999}}");
  if (name == "output-huge-integer")
    return Write(output, "{\"payload\":{\"x\":" + std::string(100'000, '9') + "}}");
  if (name == "output-duplicate-names") return Write(output, "{\"payload\":{\"x\":1,\"x\":2}}");
  if (name == "output-bad-utf8") return Write(output, "{\"payload\":{\"x\":\"\xff\xfe\"}}");
  if (name == "output-nul") return Write(output, "{\"payload\":{}}\0"s);
  if (name == "output-two-values") return Write(output, "{\"payload\":{}}{}");
  if (name == "output-list") return Write(output, "[]");
  if (name == "output-without-payload") return Write(output, "{\"exit_code\":0}");
  if (name == "output-payload-list") return Write(output, "{\"payload\":[]}");
  if (name == "output-exit-code-text") return Write(output, "{\"payload\":{},\"exit_code\":\"3\"}");
  if (name == "output-exit-code-range") return Write(output, "{\"payload\":{},\"exit_code\":256}");
  if (name == "output-time") return Write(output, "{\"payload\":{},\"completed_at\":\"soon\"}");
  if (name == "output-other-unit") return Write(output, "{\"payload\":{},\"unit_id\":\"other\"}");
  return -1;
}

int64_t NowMillis() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{1000} * now.tv_sec + now.tv_nsec / 1'000'000;
}

int AbstractSocket(const std::string& name, sockaddr_un& address, socklen_t& size) {
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path + 1, name.data(), name.size());
  size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

}  // namespace

int Neighbour(const Targets& targets, const std::string& output) {
  const std::string own = "auspex-neighbour-" + targets.Get("own"),
                    other = "auspex-neighbour-" + targets.Get("other");
  const int64_t began = NowMillis();
  sockaddr_un address{}, their_address{};
  socklen_t size = 0, their_size = 0;
  const int listener = AbstractSocket(own, address, size);
  bool marked =
      bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0 && listen(listener, 8) == 0;
  for (const std::string& folder :
       {targets.scratch(), std::string("/dev/shm"), std::string("/tmp")})
    marked = WriteOutput(folder + "/" + own, "x") && marked;
  std::string seen;
  const auto note = [&seen](const char* what) {
    if (seen.find(what) == std::string::npos) seen += std::string(seen.empty() ? "" : " ") + what;
  };
  const int s = AbstractSocket(other, their_address, their_size);
  while (NowMillis() - began < 3000) {
    for (const std::string& folder :
         {targets.scratch(), std::string("/dev/shm"), std::string("/tmp")}) {
      if (access((folder + "/" + other).c_str(), F_OK) == 0) note("file");
    }
    if (connect(s, reinterpret_cast<sockaddr*>(&their_address), their_size) == 0) note("socket");
    // Besides this process and the init there must be none, and none that takes a signal.
    if (DIR* proc = opendir("/proc")) {
      while (const dirent* entry = readdir(proc)) {
        const int pid = atoi(entry->d_name);
        if (pid > 1 && pid != getpid()) note("process");
      }
      closedir(proc);
    }
    if (kill(-1, 0) == 0) note("signal");
    usleep(50'000);
  }
  for (const char* folder : {"/dev/shm/", "/tmp/"}) unlink((folder + own).c_str());
  const std::string text = std::string("{\"payload\":{\"began\":") + std::to_string(began) +
                           ",\"ended\":" + std::to_string(NowMillis()) +
                           ",\"marked\":" + (marked ? "true" : "false") + ",\"seen\":\"" + seen +
                           "\"}}";
  return WriteOutput(output, text) ? 0 : 91;
}

int End(std::string_view name, const std::string& output) {
  if (const int status = Output(name, output); status != -1) return status;
  const std::string scratch = output.substr(0, output.rfind('/'));
  if (name == "leave-process") {
    LeaveBehind();
    return Write(output, kGood);
  }
  if (name == "hold-pipes") {
    LeaveBehind();
    (void)!write(1, "held\n", 5);
    return Write(output, kGood) | close(1) | close(2);
  }
  if (name == "flood") {
    const std::string piece(1 << 20, '\n');
    for (int i = 0; i < 64; ++i) (void)!write(1 + i % 2, piece.data(), piece.size());
    return Write(output, kGood);
  }
  if (name == "crash") return raise(SIGSEGV);
  if (name == "stop-self") {
    raise(SIGSTOP);
    return Write(output, kGood);
  }
  if (name == "ignore-term") {
    signal(SIGTERM, SIG_IGN);
    for (;;) pause();
  }
  if (name == "inode-bomb") return Inodes(scratch);
  if (name == "hostile-names") return HostileNames(scratch) | Write(output, kGood);
  return -1;
}

}  // namespace auspex::escape
