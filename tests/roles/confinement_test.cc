// SPDX-License-Identifier: AGPL-3.0-only
// What a daemon that was taken over finds on the disk: a process with the same user and the same
// confinement as the daemon tries every file of a running worker. And runnerd itself is looked at
// from outside.
#include "netd/confinement.h"

#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <sstream>

#include "common/base/cat.h"
#include "common/base/unique_fd.h"
#include "common/ipc/role_key.h"
#include "runnerd/view.h"
#include "stated/confinement.h"
#include "tests/e2e/harness.h"
#include "tests/support/skip.h"

namespace auspex::roles {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using Paths = std::set<std::string>;

// What became of one look at all files.
struct Found {
  Paths readable, writable;
  std::string error;  // why there was no look
};

class Confinement : public ::testing::Test {
 protected:
  void SetUp() override {
    e2e::WriteText(folder_ / "worker.toml", "[coordinator]\nurl = \"http://127.0.0.1:1\"\n");
    // Backwards: a client may come before its server.
    for (const char* name : {"netd", "runnerd", "stated", "keyd"}) {
      daemons_[name] = e2e::Process({{e2e::Program(Cat("auspex-", name)), "--home", folder_.path()},
                                     {},
                                     folder_ / Cat(name, ".log"),
                                     true});
      ASSERT_TRUE(daemons_[name].WaitReady(20)) << name << ": " << Log(name);
    }
    Layout::Choice choice;
    choice.home = folder_.path();
    layout_ = *Layout::Resolve(choice, ProcessEnvironment());
    e2e::WriteText(elsewhere_ / "private", "of the user, and not the worker's");
    std::filesystem::create_directories(folder_ / "data/tenants");
    e2e::WriteText(folder_ / "data/tenants/package", "to be read by runnerd");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
      if (entry.is_regular_file() && !entry.is_symlink())
        files_.insert(entry.path().string().substr(Root().size()));
    }
    for (const char* file : {"run/keyd/owner.role/key", "run/keyd/request.role/key",
                             "run/keyd/result.role/key", "run/stated/owner.role/key"}) {
      ASSERT_THAT(files_, Contains(file)) << "the test looks for the wrong files";
    }
    ASSERT_THAT(Below({"state/stated/", "state/keyd/"}), SizeIs(::testing::Ge(2u)));
  }
  void TearDown() override {
    daemons_.clear();
    e2e::KillOrphans();
  }

  std::string Root() const { return folder_.path() + "/"; }
  std::string Log(const std::string& name) const {
    return e2e::ReadText(folder_ / (name + ".log"));
  }
  bool InLog(const std::string& name, const std::string& words) const {
    return Log(name).find(words) != std::string::npos;
  }

  // Looks at all files of the worker below `prefix`, and at one of the user's elsewhere.
  std::string LookAround(const std::string& prefix) const {
    std::string found;
    for (const std::string& file : files_) {
      const std::string path = Cat(prefix, Root(), file);
      if (UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC))) found += "r " + file + "\n";
      if (UniqueFd(::open(path.c_str(), O_WRONLY | O_CLOEXEC))) found += "w " + file + "\n";
    }
    if (UniqueFd(::open((prefix + (elsewhere_ / "private")).c_str(), O_RDONLY | O_CLOEXEC)))
      found += "r elsewhere\n";
    return found;
  }

  static Found Parsed(const std::string& text) {
    Found found;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      if (line[0] == 'r') found.readable.insert(line.substr(2));
      if (line[0] == 'w') found.writable.insert(line.substr(2));
      if (line[0] == '!') found.error = line.substr(2);
    }
    return found;
  }

  // In a child that `confine` has confined; `also` may add lines to what was found.
  Found LookAs(const std::function<absl::Status()>& confine,
               const std::function<std::string()>& also = {}) const {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      const absl::Status status = confine();
      std::string text = status.ok() ? LookAround("") : "! " + status.ToString() + "\n";
      if (status.ok() && also) text += also();
      (void)!::write(ends[1], text.data(), text.size());
      ::_exit(0);
    }
    ::close(ends[1]);
    std::string text;
    char buffer[4096];
    for (ssize_t got; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<size_t>(got));
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    return Parsed(text);
  }

  Paths Below(const std::vector<std::string>& places) const {
    Paths below;
    for (const std::string& file : files_) {
      for (const std::string& place : places) {
        if (file.starts_with(place)) below.insert(file);
      }
    }
    return below;
  }

  e2e::TempFolder folder_, elsewhere_;
  std::map<std::string, e2e::Process> daemons_;
  absl::StatusOr<Layout> layout_ = absl::UnknownError("not resolved");
  Paths files_;  // of the worker, relative to its home
};

TEST_F(Confinement, NetdReadsItsOwnTwoRoleKeysAndNoOtherFile) {
  AUSPEX_SKIP_UNLESS(!InLog("netd", "landlock"), "Landlock");
  const Found found = LookAs([this] {
    const absl::StatusOr<FileRules> rules = NetdFiles(Config(), *layout_);
    return rules.ok() ? RestrictFiles(*rules) : rules.status();
  });
  ASSERT_EQ(found.error, "");
  EXPECT_EQ(found.readable,
            Below({"run/netd/", "run/keyd/request.role/key", "run/stated/net.role/key"}));
  EXPECT_EQ(found.writable, Below({"run/netd/"}));
}

// Landlock does not keep a process from sockets; the view of netd does.
TEST_F(Confinement, NetdSeesNoSocketsButItsNeighbours) {
  AUSPEX_SKIP_UNLESS(!InLog("netd", "private-view"), "user namespaces");
  const Found found = LookAs(
      [this] {
        const absl::StatusOr<ViewRules> rules = NetdView(Config(), *layout_);
        return rules.ok() ? EnterPrivateView(*rules) : rules.status();
      },
      [this] {
        std::string seen;
        for (const char* socket : {"keyd/request", "stated/net", "stated/owner", "runnerd/owner"}) {
          const std::string path = Cat(Root(), "run/", socket, ".sock");
          if (::access(path.c_str(), F_OK) == 0) seen += Cat("r ", socket, "\n");
        }
        // Where session buses, agents and engines have their sockets.
        const std::string other = elsewhere_ / "private";
        for (const char* path : {"/run/user", "/run/dbus", "/var/run", "/home", other.c_str()}) {
          if (::access(path, F_OK) == 0) seen += Cat("r ", path, "\n");
        }
        return seen;
      });
  ASSERT_EQ(found.error, "");
  Paths expected = Below({"run/netd/", "run/keyd/request.role/key", "run/stated/net.role/key",
                          "run/keyd/lock", "run/stated/lock"});
  // Others' sockets are beside its own; their keys are not.
  for (const char* socket : {"keyd/request", "stated/net", "stated/owner"}) expected.insert(socket);
  EXPECT_EQ(found.readable, expected);
  EXPECT_EQ(found.writable, Below({"run/netd/"}));
}

TEST_F(Confinement, StatedReadsNoOtherRolesKey) {
  AUSPEX_SKIP_UNLESS(!InLog("stated", "landlock"), "Landlock");
  const Found found = LookAs([this] { return RestrictFiles(stated::StatedFiles(*layout_)); });
  ASSERT_EQ(found.error, "");
  EXPECT_EQ(found.readable, Below({"run/stated/", "state/stated/"}));
  EXPECT_EQ(found.writable, Below({"run/stated/", "state/stated/"}));
}

// What runnerd may see of a worker: no state but its own, of its neighbours' keys its own two.
void ExpectRunnerdsView(const Found& found, const Paths& own, const Paths& keys) {
  EXPECT_THAT(found.writable, Contains("run/runnerd/lock"));
  Paths foreign;
  for (const std::string& file : found.writable) {
    if (!own.contains(file)) foreign.insert(file);
  }
  for (const std::string& file : found.readable) {
    const bool key = file.ends_with(".role/key") && !own.contains(file);
    if ((file.starts_with("state/") && !own.contains(file)) || file.starts_with("run/netd/") ||
        (key && !keys.contains(file)))
      foreign.insert(file);
  }
  EXPECT_THAT(foreign, IsEmpty());
  for (const std::string& key : keys) EXPECT_THAT(found.readable, Contains(key));
  EXPECT_THAT(found.readable, Contains("worker.toml"));
  EXPECT_THAT(found.readable, Contains("data/tenants/package"));
  EXPECT_THAT(found.readable, Not(Contains("elsewhere"))) << "the user's other files are shown";
}

TEST_F(Confinement, RunnerdSeesItsOwnTwoRoleKeysAndNoOthersState) {
  AUSPEX_SKIP_UNLESS(!InLog("runnerd", "private-view"), "user namespaces");
  const std::string socket = layout_->Socket("keyd", "result");
  const auto enter = [this] {
    const absl::StatusOr<ViewRules> rules = runnerd::ViewOfHost(Config(), *layout_, {});
    return rules.ok() ? EnterPrivateView(*rules) : rules.status();
  };
  const Found found = LookAs(enter, [&socket] {
    // The sockets themselves are there, for who has the key.
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    socket.copy(address.sun_path, sizeof address.sun_path - 1);
    const std::string words =
        Cat("CONNECT auspex HTTP/1.0\r\nAuspex-Role-Key: ", ReadRoleKey(socket).value_or(""),
            "\r\n\r\n");
    char answer[12] = {};
    const bool heard =
        ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
        ::send(fd.get(), words.data(), words.size(), MSG_NOSIGNAL) > 0 &&
        ::recv(fd.get(), answer, sizeof answer, MSG_WAITALL) == sizeof answer;
    return heard && std::string_view(answer, sizeof answer) == "HTTP/1.0 200"
               ? std::string("r the socket\n")
               : std::string();
  });
  ASSERT_EQ(found.error, "");
  EXPECT_THAT(found.readable, Contains("the socket"));
  ExpectRunnerdsView(found, Below({"run/runnerd/", "state/runnerd/"}),
                     Below({"run/keyd/result.role/key", "run/stated/run.role/key"}));
}

TEST_F(Confinement, TheRunningNetdIsInItsView) {
  AUSPEX_SKIP_UNLESS(::getuid() == 0, "root, to look into another process");
  AUSPEX_SKIP_UNLESS(!InLog("netd", "private-view"), "user namespaces");
  const std::string root = Cat("/proc/", daemons_["netd"].pid(), "/root");
  EXPECT_EQ(Parsed(LookAround(root)).readable,
            Below({"run/netd/", "run/keyd/request.role/key", "run/stated/net.role/key",
                   "run/keyd/lock", "run/stated/lock"}));
}

// The same of the daemon that runs, through the kernel's door to its root.
TEST_F(Confinement, TheRunningRunnerdIsInItsView) {
  AUSPEX_SKIP_UNLESS(::getuid() == 0, "root, to look into another process");
  AUSPEX_SKIP_UNLESS(!InLog("runnerd", "private-view"), "user namespaces");
  const std::string process = Cat("/proc/", daemons_["runnerd"].pid());
  ExpectRunnerdsView(Parsed(LookAround(process + "/root")),
                     Below({"run/runnerd/", "state/runnerd/"}),
                     Below({"run/keyd/result.role/key", "run/stated/run.role/key"}));
  const std::string status = e2e::ReadText(process + "/status");
  for (const char* set : {"CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    EXPECT_NE(status.find(Cat(set, ":\t0000000000000000")), std::string::npos) << status;
  }
  // No way to the networks and the abstract sockets of the host either.
  for (const char* kind : {"user", "mnt", "net", "ipc"}) {
    EXPECT_NE(std::filesystem::read_symlink(Cat(process, "/ns/", kind)),
              std::filesystem::read_symlink(Cat("/proc/self/ns/", kind)));
  }
}

}  // namespace
}  // namespace auspex::roles
