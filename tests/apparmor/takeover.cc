// SPDX-License-Identifier: AGPL-3.0-only
// takeover [WORD=ARGUMENT]...: what somebody who took a daemon over would try. in_machine.sh puts this program in the place of a daemon, so
// that the kernel gives it that daemon's profile, and starts it with that daemon's user. One line an attempt: "WORD ARGUMENT: done", or
// "refused" with the kernel's word. Always exits with 0: what must not be "done" is judged outside.
//
//   read=FILE  write=FILE (made if missing)  list=FOLDER  connect=SOCKET  trace=PID  memory=PID  signal=PID
//   internet=ADDRESS:PORT (UDP, one octet)   exec=FILE    mount=FOLDER  userns=yes    profile=NAME (change into it)
//   then=PROGRAM  replaces this program by PROGRAM with the rest of the words
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

int Opened(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (fd >= 0) ::close(fd);
  return fd < 0 ? errno : 0;
}

int Read(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  char octet = 0;
  const int error = ::read(fd, &octet, 1) < 0 ? errno : 0;
  ::close(fd);
  return error;
}

int Connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int error =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  ::close(fd);
  return error;
}

int Internet(const std::string& target) {
  const size_t colon = target.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::atoi(target.c_str() + colon + 1)));
  ::inet_pton(AF_INET, target.substr(0, colon).c_str(), &address.sin_addr);
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int error =
      ::sendto(fd, "x", 1, 0, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 1
          ? 0
          : errno;
  ::close(fd);
  return error;
}

int Trace(pid_t pid) {
  if (::ptrace(PTRACE_ATTACH, pid, nullptr, nullptr) != 0) return errno;
  ::waitpid(pid, nullptr, __WALL);
  ::ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
  return 0;
}

// In a child, so that a success changes nothing for the attempts after it.
template <typename Attempt>
int InChild(Attempt attempt) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(attempt());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

int Exec(const std::string& program) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno;
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl(program.c_str(), program.c_str(), "-c", ":", nullptr);
    const char error = static_cast<char>(errno);
    [[maybe_unused]] const ssize_t told = ::write(ends[1], &error, 1);
    ::_exit(127);
  }
  ::close(ends[1]);
  char error = 0;
  const ssize_t got = ::read(ends[0], &error, 1);
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return got == 1 ? error : 0;
}

int ChangeProfile(const std::string& name) {
  const int fd = ::open("/proc/self/attr/current", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const std::string text = "changeprofile " + name;
  const int error = ::write(fd, text.data(), text.size()) < 0 ? errno : 0;
  ::close(fd);
  return error;
}

int Try(const std::string& word, const std::string& argument) {
  if (word == "read") return Read(argument);
  if (word == "write") return Opened(argument, O_WRONLY | O_CREAT);
  if (word == "list") return Opened(argument, O_RDONLY | O_DIRECTORY);
  if (word == "connect") return Connect(argument);
  if (word == "trace") return Trace(std::atoi(argument.c_str()));
  if (word == "memory") return Opened("/proc/" + argument + "/mem", O_RDONLY);
  if (word == "signal") return ::kill(std::atoi(argument.c_str()), SIGCONT) == 0 ? 0 : errno;
  if (word == "internet") return Internet(argument);
  if (word == "exec") return Exec(argument);
  if (word == "mount") {
    return InChild([&] {
      const char* folder = argument.c_str();
      if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return errno;
      return ::mount(folder, folder, nullptr, MS_BIND, nullptr) == 0 ? 0 : errno;
    });
  }
  if (word == "userns") return InChild([] { return ::unshare(CLONE_NEWUSER) == 0 ? 0 : errno; });
  if (word == "profile") return InChild([&] { return ChangeProfile(argument); });
  return -1;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  for (int i = 1; i < argc; ++i) {
    const std::string text = argv[i];
    const size_t equals = text.find('=');
    const std::string word = text.substr(0, equals);
    const std::string argument = equals == std::string::npos ? "" : text.substr(equals + 1);
    if (word == "then") {
      argv[i] = const_cast<char*>(argument.c_str());
      ::execv(argument.c_str(), argv + i);
      std::printf("then %s: refused %s\n", argument.c_str(), strerrorname_np(errno));
      return 0;
    }
    const int error = Try(word, argument);
    if (error < 0) {
      std::fprintf(stderr, "takeover: no word '%s'\n", word.c_str());
      return 2;
    }
    if (error == 0) {
      std::printf("%s %s: done\n", word.c_str(), argument.c_str());
    } else {
      std::printf("%s %s: refused %s\n", word.c_str(), argument.c_str(), strerrorname_np(error));
    }
  }
  return 0;
}
