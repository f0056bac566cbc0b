// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/keyd/desktop_session.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace auspex::keyd {
namespace {

constexpr char kBus[] = "/usr/bin/dbus-daemon", kKeyring[] = "/usr/bin/gnome-keyring-daemon";

// Starts `argv` with `envp` and the given standard streams; dies with this process.
pid_t Start(std::vector<std::string> argv, std::vector<std::string> environment, int in, int out,
            int err) {
  std::vector<char*> args, envp;
  for (std::string& text : argv) args.push_back(text.data());
  for (std::string& text : environment) envp.push_back(text.data());
  args.push_back(nullptr);
  envp.push_back(nullptr);
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  ::execve(args[0], args.data(), envp.data());
  ::_exit(127);
}

bool Accepts(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool ok = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return ok;
}

// Looks until `condition` holds; fails the test after ten seconds.
template <typename Condition>
void Await(Condition condition, const char* what) {
  for (int looks = 0; looks < 1000; ++looks) {
    if (condition()) return;
    ::poll(nullptr, 0, 10);
  }
  ADD_FAILURE() << what << " did not happen";
}

}  // namespace

bool DesktopSession::Available() {
  return ::access(kBus, X_OK) == 0 && ::access(kKeyring, X_OK) == 0;
}

DesktopSession::DesktopSession(const std::string& folder, Keyring keyring) : folder_(folder) {
  for (const char* name : {"/home", "/run"}) ::mkdir((folder + name).c_str(), 0700);
  const std::string bus = folder + "/run/bus";
  environment_ = {"DBUS_SESSION_BUS_ADDRESS=unix:path=" + bus, "XDG_RUNTIME_DIR=" + folder + "/run",
                  "HOME=" + folder + "/home", "PATH=/usr/bin:/bin"};
  // A service that is started and never takes its name.
  const auto hangs = [&folder](const std::string& name) {
    std::ofstream(folder + "/services/" + name + ".service")
        << "[D-BUS Service]\nName=" << name
        << "\nExec=/usr/bin/setpriv --pdeathsig KILL /bin/sleep 600\n";
  };
  std::filesystem::remove_all(folder + "/services");
  ::mkdir((folder + "/services").c_str(), 0700);
  if (keyring == Keyring::kHangs) hangs("org.freedesktop.secrets");
  if (keyring == Keyring::kAsks) hangs("org.gnome.keyring.SystemPrompter");
  std::ofstream(folder + "/bus.conf")
      << "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" "
         "\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n<busconfig>"
         "<type>session</type><listen>unix:path="
      << bus << "</listen><auth>EXTERNAL</auth><servicedir>" << folder
      << "/services</servicedir><policy context=\"default\"><allow send_destination=\"*\" "
         "eavesdrop=\"true\"/><allow eavesdrop=\"true\"/>"
         "<allow own=\"*\"/></policy></busconfig>\n";
  ::unlink(bus.c_str());
  started_.push_back(
      Spawn({kBus, "--config-file=" + folder + "/bus.conf", "--nofork", "--nopidfile"}, ""));
  Await([&] { return Accepts(bus); }, "a session bus");
  if (keyring == Keyring::kNone || keyring == Keyring::kHangs) return;
  std::vector<std::string> daemon{kKeyring, "--foreground", "--components=secrets"};
  if (keyring == Keyring::kUnlocked) daemon.emplace_back("--unlock");
  started_.push_back(Spawn(daemon, keyring == Keyring::kUnlocked ? "password" : ""));
  Await([&] { return Helper("probe").code == 0; }, "a keyring");
}

DesktopSession::~DesktopSession() {
  for (auto pid = started_.rbegin(); pid != started_.rend(); ++pid) {
    // The keyring is told to end, so that it writes what it was given.
    ::kill(*pid, SIGTERM);
    ::waitpid(*pid, nullptr, 0);
  }
}

pid_t DesktopSession::Spawn(const std::vector<std::string>& argv, const std::string& input) const {
  int in[2];
  EXPECT_EQ(::pipe2(in, O_CLOEXEC), 0);
  const int log =
      ::open((folder_ + "/session.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const pid_t pid = Start(argv, environment_, in[0], log, log);
  EXPECT_EQ(::write(in[1], input.data(), input.size()), static_cast<ssize_t>(input.size()));
  for (int fd : {in[0], in[1], log}) ::close(fd);
  return pid;
}

DesktopSession::Ran DesktopSession::Helper(const std::string& command,
                                           const std::string& input) const {
  const char* bin = std::getenv("AUSPEX_BIN_DIR");
  EXPECT_NE(bin, nullptr) << "run this through ctest";
  int in[2], out[2];
  EXPECT_EQ(::pipe2(in, O_CLOEXEC), 0);
  EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
  const int log =
      ::open((folder_ + "/session.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const pid_t pid = Start({std::string(bin ? bin : ".") + "/auspex-keyd-secrets", command},
                          environment_, in[0], out[1], log);
  EXPECT_EQ(::write(in[1], input.data(), input.size()), static_cast<ssize_t>(input.size()));
  for (int fd : {in[0], in[1], out[1], log}) ::close(fd);
  Ran ran;
  char buffer[256];
  for (ssize_t got; (got = ::read(out[0], buffer, sizeof buffer)) > 0;) {
    ran.out.append(buffer, static_cast<size_t>(got));
  }
  ::close(out[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ran;
}

}  // namespace auspex::keyd
