// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/deploy/service_host.h"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <sstream>

#include "tests/deploy/confine.h"
#include "tests/deploy/unit_file.h"

namespace auspex::deploy {
namespace {

namespace fs = std::filesystem;

constexpr char kOwnFolder[] = "/run/auspex-test";
constexpr char kCredentials[] = "/run/credentials";

// A socket of the kind at `path`, bound.
UniqueFd Bound(const std::string& path, int type) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << path;
  return fd;
}

void RunAndExpect(const std::vector<std::string>& command) {
  const e2e::Finished finished = e2e::RunCommand(command, 60);
  EXPECT_EQ(finished.code, 0) << command[0] << ": " << finished.err;
}

void Mount(const char* source, const char* target, const char* type, unsigned long flags,
           const char* data = nullptr) {
  EXPECT_EQ(::mount(source, target, type, flags, data), 0) << target << ": " << strerror(errno);
}

bool Become(const ServiceHost::User& user) {
  return ::setgroups(user.groups.size(), user.groups.data()) == 0 &&
         ::setresgid(user.gid, user.gid, user.gid) == 0 &&
         ::setresuid(user.uid, user.uid, user.uid) == 0;
}

// The service's main process, from the fork to exec; never returns.
[[noreturn]] void RunService(const std::string& daemon, const UnitFile& unit,
                             const CallFilter& filter, const ServiceHost::User& user,
                             const std::vector<std::pair<std::string, int>>& sockets,
                             const std::string& log) {
  // Before the file systems are read-only.
  int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const auto must = [&out](bool done, const char* step) {
    if (done) return;
    const std::string words = std::string("test: ") + step + ": " + strerror(errno) + "\n";
    [[maybe_unused]] const ssize_t written = ::write(out, words.data(), words.size());
    ::_exit(99);
  };
  ::setpgid(0, 0);
  must(ConfineFiles(unit), "confine files");
  // Out of the way of the numbers where they belong.
  std::vector<int> high;
  std::string names;
  for (const auto& [name, fd] : sockets) {
    high.push_back(::fcntl(fd, F_DUPFD_CLOEXEC, 100));
    names += (names.empty() ? "" : ":") + name;
  }
  const int log_fd = ::fcntl(out, F_DUPFD_CLOEXEC, 100);
  ::dup2(::open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
  ::dup2(log_fd, 1);
  ::dup2(log_fd, 2);
  out = log_fd;
  for (size_t i = 0; i < high.size(); ++i) ::dup2(high[i], static_cast<int>(3 + i));
  for (int fd = static_cast<int>(3 + high.size()); fd < 100; ++fd) ::close(fd);
  ::clearenv();
  const auto set = [](const char* name, const std::string& value) {
    ::setenv(name, value.c_str(), 1);
  };
  set("PATH", "/usr/bin:/bin");
  set("LISTEN_PID", std::to_string(::getpid()));
  set("LISTEN_FDS", std::to_string(sockets.size()));
  set("LISTEN_FDNAMES", names);
  set("NOTIFY_SOCKET", std::string(kOwnFolder) + "/" + daemon + ".notify");
  set("WATCHDOG_USEC", "1000000");
  set("WATCHDOG_PID", std::to_string(::getpid()));
  if (!unit.Value("LoadCredentialEncrypted").empty())
    set("CREDENTIALS_DIRECTORY", std::string(kCredentials) + "/auspex-" + daemon + ".service");
  ::umask(static_cast<mode_t>(std::strtol(unit.Value("UMask").c_str(), nullptr, 8)));
  const rlimit none{0, 0};
  must(::setrlimit(RLIMIT_CORE, &none) == 0, "limit core files");
  const rlim_t files = std::strtoul(unit.Value("LimitNOFILE").c_str(), nullptr, 10);
  const rlimit open{files, files};
  must(::setrlimit(RLIMIT_NOFILE, &open) == 0, "limit open files");
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
    must(::prctl(PR_CAPBSET_DROP, capability) == 0, "drop a capability");
  must(Become(user), "become its user");
  // Not earlier: a change of user forgets it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  must(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "set no-new-privileges");
  must(filter.Load(), "load its filter");
  const std::string program = "/usr/libexec/auspex/auspex-" + daemon;
  ::execl(program.c_str(), program.c_str(), "--system", nullptr);
  must(false, "start the program");
  ::_exit(99);
}

}  // namespace

bool ServiceHost::Possible() {
  if (::geteuid() != 0) return false;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::unshare(CLONE_NEWNS | CLONE_NEWNET) == 0 ? 0 : 1);
  int status = 1;
  return ::waitpid(child, &status, 0) == child && status == 0;
}

void ServiceHost::Prepare() {
  e2e::AdoptOrphans();
  ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
  Mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE);
  // The host's own folders stay as they are: copies, and empty ones, in their place.
  const e2e::TempFolder scratch;
  RunAndExpect({"/bin/cp", "-a", "/etc", scratch / "etc"});
  const std::string programs = scratch / "libexec";
  ASSERT_EQ(::mkdir(programs.c_str(), 0755), 0);
  RunAndExpect({"/bin/cp", "-a", "/usr/libexec/.", programs});
  RunAndExpect({"/bin/rm", "-rf", programs + "/auspex", scratch / "etc/auspex"});
  ASSERT_EQ(::mkdir((programs + "/auspex").c_str(), 0755), 0);
  for (const char* name : {"keyd", "stated", "netd", "runnerd", "unit-init", "unpack"}) {
    const std::string program = std::string("auspex-") + name;
    RunAndExpect({"/bin/cp", e2e::Program(program), programs + "/auspex/" + program});
  }
  // Where any user may start it; a build folder may be below somebody's home.
  RunAndExpect({"/bin/cp", e2e::Program("auspex"), programs + "/auspex/auspex"});
  for (const auto& [source, target] :
       std::map<std::string, std::string>{{scratch / "etc", "/etc"}, {programs, "/usr/libexec"}}) {
    Mount("tmpfs", "/mnt", "tmpfs", 0, "mode=0755");
    RunAndExpect({"/bin/cp", "-a", source + "/.", "/mnt"});
    Mount("/mnt", target.c_str(), nullptr, MS_MOVE);
  }
  for (const char* folder : {"/var/lib", "/run"}) {
    Mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
  }
  RunAndExpect({"/usr/bin/systemd-sysusers", DeployFile("sysusers.d/auspex.conf")});
  RunAndExpect({"/usr/bin/systemd-tmpfiles", "--create", DeployFile("tmpfiles.d/auspex.conf")});
  ASSERT_EQ(::mkdir(kOwnFolder, 0755), 0);

  for (const std::string& name : UnitNames(".socket")) {
    const UnitFile unit(name);
    const std::string path = unit.Value("ListenStream");
    fs::create_directories(fs::path(path).parent_path());
    const std::string role = path.substr(12, path.size() - 12 - 5);  // /run/auspex/ROLE.sock
    UniqueFd fd = Bound(path, SOCK_STREAM);
    const passwd* owner = ::getpwnam(unit.Value("SocketUser").c_str());
    const group* owners = ::getgrnam(unit.Value("SocketGroup").c_str());
    ASSERT_TRUE(owner != nullptr && owners != nullptr) << name;
    ASSERT_EQ(::chown(path.c_str(), owner->pw_uid, owners->gr_gid), 0);
    const long mode = std::strtol(unit.Value("SocketMode").c_str(), nullptr, 8);
    ASSERT_EQ(::chmod(path.c_str(), static_cast<mode_t>(mode)), 0);
    ASSERT_EQ(::listen(fd.get(), 64), 0);
    sockets_[role] = std::move(fd);
  }
  for (const std::string daemon : {"keyd", "stated", "netd", "runnerd"}) {
    const UnitFile unit("auspex-" + daemon + ".service");
    const User user = Named("auspex-" + daemon);
    Service& service = services_[daemon];
    const std::string notify = std::string(kOwnFolder) + "/" + daemon + ".notify";
    service.notify = Bound(notify, SOCK_DGRAM | SOCK_NONBLOCK);
    ASSERT_EQ(::chmod(notify.c_str(), 0666), 0);
    if (const std::string state = unit.Value("StateDirectory"); !state.empty()) {
      ASSERT_EQ(::mkdir(("/var/lib/" + state).c_str(), 0700), 0);
      ASSERT_EQ(::chown(("/var/lib/" + state).c_str(), user.uid, user.gid), 0);
    }
    if (const std::string credential = unit.Value("LoadCredentialEncrypted"); !credential.empty()) {
      const std::string folder = std::string(kCredentials) + "/auspex-" + daemon + ".service";
      fs::create_directories(folder);
      e2e::WriteText(folder + "/" + credential, "thirty-two octets out of a TPM!!");
      ASSERT_EQ(::chmod((folder + "/" + credential).c_str(), 0400), 0);
      ASSERT_EQ(::chown((folder + "/" + credential).c_str(), user.uid, user.gid), 0);
    }
  }
}

ServiceHost::~ServiceHost() {
  for (auto& [daemon, service] : services_) Kill(daemon);
}

bool ServiceHost::Start(const std::string& daemon) {
  Service& service = services_[daemon];
  const UnitFile unit("auspex-" + daemon + ".service");
  const CallFilter filter(unit);
  const User user = Named(unit.Value("User"));
  std::vector<std::pair<std::string, int>> sockets;
  for (const auto& [role, fd] : sockets_) {
    if (role.starts_with(daemon + "/"))
      sockets.emplace_back(role.substr(daemon.size() + 1), fd.get());
  }
  Hear(service);
  service.told.clear();
  service.code.reset();
  service.pid = ::fork();
  if (service.pid == 0) RunService(daemon, unit, filter, user, sockets, log(daemon));
  return e2e::Eventually(20,
                         [&] {
                           Hear(service);
                           return Ended(service) ||
                                  std::find(service.told.begin(), service.told.end(), "READY=1") !=
                                      service.told.end();
                         }) &&
         !Ended(service);
}

int ServiceHost::Stop(const std::string& daemon) {
  Service& service = services_[daemon];
  Hear(service);  // a full queue would hold it up
  if (service.pid > 0 && !Ended(service)) ::kill(service.pid, SIGTERM);
  e2e::Eventually(15, [&] {
    Hear(service);
    return Ended(service);
  });
  const int code = service.code.value_or(-1);
  Kill(daemon);
  return code;
}

void ServiceHost::Kill(const std::string& daemon) {
  Service& service = services_[daemon];
  if (service.pid <= 0) return;
  if (!Ended(service)) {
    ::kill(-service.pid, SIGKILL);
    e2e::Eventually(10, [&] { return Ended(service); });
  }
  service.pid = 0;
}

bool ServiceHost::Running(const std::string& daemon) {
  Service& service = services_[daemon];
  return service.pid > 0 && !Ended(service);
}

pid_t ServiceHost::pid(const std::string& daemon) const { return services_.at(daemon).pid; }

std::vector<std::string> ServiceHost::Told(const std::string& daemon) {
  Hear(services_[daemon]);
  return services_[daemon].told;
}

void ServiceHost::Hear(Service& service) {
  char text[1024];
  for (ssize_t size = 0; (size = ::recv(service.notify.get(), text, sizeof text, 0)) > 0;) {
    std::istringstream lines(std::string(text, static_cast<size_t>(size)));
    for (std::string line; std::getline(lines, line);) service.told.push_back(line);
  }
}

bool ServiceHost::Ended(Service& service) {
  if (service.code.has_value()) return true;
  int status = 0;
  if (::waitpid(service.pid, &status, WNOHANG) != service.pid) return false;
  service.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return true;
}

ServiceHost::User ServiceHost::Named(const std::string& name) {
  const passwd* user = ::getpwnam(name.c_str());
  EXPECT_NE(user, nullptr) << name;
  if (user == nullptr) return {65534, 65534, {}};
  return {user->pw_uid, user->pw_gid, {}};
}

ServiceHost::User ServiceHost::Stranger(const std::string& group_name) {
  User user{54321, 54321, {}};
  if (group_name.empty()) return user;
  const group* members = ::getgrnam(group_name.c_str());
  EXPECT_NE(members, nullptr) << group_name;
  if (members != nullptr) user.groups.push_back(members->gr_gid);
  return user;
}

e2e::Finished ServiceHost::Verb(const User& user, const std::vector<std::string>& words,
                                double seconds) {
  std::vector<std::string> command = {"/usr/bin/setpriv", "--reuid=" + std::to_string(user.uid),
                                      "--regid=" + std::to_string(user.gid)};
  std::string groups;
  for (const gid_t gid : user.groups) groups += (groups.empty() ? "" : ",") + std::to_string(gid);
  command.push_back(groups.empty() ? "--clear-groups" : "--groups=" + groups);
  command.insert(command.end(), {"/usr/libexec/auspex/auspex", "--system"});
  command.insert(command.end(), words.begin(), words.end());
  return e2e::RunCommand(command, seconds);
}

int ServiceHost::As(const User& user, const std::function<int()>& attempt) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(Become(user) ? attempt() : 255);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 254;
}

}  // namespace auspex::deploy
