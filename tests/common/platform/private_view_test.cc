// SPDX-License-Identifier: AGPL-3.0-only
// The view is entered in a child process, which then tries to see and to do more.
#include "common/harden/private_view.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

namespace auspex {
namespace {

using ::testing::HasSubstr;

class PrivateViewTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* file : {"home/config", "home/state/mine/file", "home/state/other/secret",
                             "home/run/shown/door", "home/run/shown/keys/key", "elsewhere/file"}) {
      std::filesystem::create_directories(std::filesystem::path(folder_ / file).parent_path());
      std::ofstream(folder_ / file) << "content";
    }
    rules_.read_only = {
        "/usr", "/bin", "/lib", "/lib64", home_, home_ + "/run/shown", folder_ / "missing"};
    // One inside another too, as where the run folder is inside the state folder.
    rules_.covered = {home_ + "/state", home_ + "/state/other", home_ + "/run",
                      home_ + "/run/shown/keys"};
    rules_.read_write = {home_ + "/state/mine"};
    const pid_t child = ::fork();
    if (child == 0) ::_exit(absl::IsUnimplemented(EnterPrivateView(rules_)) ? 1 : 0);
    int status = 0;
    ::waitpid(child, &status, 0);
    AUSPEX_SKIP_UNLESS(WIFEXITED(status) && WEXITSTATUS(status) == 0, "user namespaces");
  }

  // What `look` says from inside.
  std::string Inside(const std::function<std::string()>& look) const {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      const absl::Status status = EnterPrivateView(rules_);
      const std::string said = status.ok() ? look() : status.ToString();
      (void)!::write(ends[1], said.data(), said.size());
      ::_exit(0);
    }
    ::close(ends[1]);
    std::string said;
    char buffer[4096];
    for (ssize_t got; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;)
      said.append(buffer, static_cast<size_t>(got));
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    return said;
  }

  // "rw" or "r-" or "--".
  static std::string Access(const std::string& path) {
    const int reader = ::open(path.c_str(), O_RDONLY), writer = ::open(path.c_str(), O_WRONLY);
    return std::string(reader >= 0 ? "r" : "-") + (writer >= 0 ? "w" : "-");
  }

  testing::TempDir folder_;
  const std::string home_ = folder_ / "home";
  ViewRules rules_;
};

TEST_F(PrivateViewTest, ShowsWhatIsListedAndNothingElse) {
  const auto access = [this](const std::string& file) {
    return Inside([path = folder_ / file] { return Access(path); });
  };
  EXPECT_EQ(access("home/config"), "r-");
  EXPECT_EQ(access("home/state/mine/file"), "rw");
  EXPECT_EQ(access("home/state/other/secret"), "--");
  EXPECT_EQ(access("home/run/shown/door"), "r-");
  EXPECT_EQ(access("home/run/shown/keys/key"), "--");
  EXPECT_EQ(access("elsewhere/file"), "--");
  EXPECT_EQ(Inside([] { return Access("/etc/passwd") + Access("/usr/bin/env"); }), "--r-");
  // Nothing can be put into what is covered, nor beside what is listed.
  EXPECT_EQ(Inside([this] {
              std::string made;
              for (const std::string& place : {home_ + "/state", home_, std::string("/dev"),
                                               std::string("/"), std::string("/usr")}) {
                if (::mkdir((place + "/new").c_str(), 0700) == 0) made += place + "\n";
              }
              return made;
            }),
            "");
}

TEST_F(PrivateViewTest, CannotBeTakenDownNotEvenFromFurtherNamespaces) {
  const auto tries = [this] {
    std::string done;
    const std::string covered = home_ + "/state", secret = covered + "/other/secret";
    if (::umount2(covered.c_str(), MNT_DETACH) == 0) done += "unmounted ";
    if (::mount(nullptr, home_.c_str(), nullptr, MS_REMOUNT | MS_BIND, nullptr) == 0)
      done += "remounted ";
    if (::mount("tmpfs", "/tmp", "tmpfs", 0, nullptr) == 0) done += "mounted ";
    if (Access(secret) != "--") done += "read ";
    return done;
  };
  EXPECT_EQ(Inside(tries), "");
  EXPECT_EQ(Inside([&tries] {
              if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return std::string("no namespace");
              return tries();
            }),
            "mounted ")
      << "a sandbox's own mounts must work, and uncover nothing";
}

TEST_F(PrivateViewTest, ProcessesOutsideCannotBeLookedThrough) {
  const std::string outside = "/proc/" + std::to_string(::getpid());
  EXPECT_EQ(Inside([&] {
              return Access(outside + "/root" + folder_.path() + "/elsewhere/file") +
                     Access(outside + "/environ") + Access(outside + "/mem") +
                     // Everybody's to read, so it is not the path that is wrong.
                     Access(outside + "/stat");
            }),
            "------r-");
}

TEST_F(PrivateViewTest, AbstractSocketsOfTheHostAreOutOfReach) {
  const int server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "auspex-view-" + std::to_string(::getpid());
  name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
  const socklen_t size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  const auto* to = reinterpret_cast<const sockaddr*>(&address);
  ASSERT_EQ(::bind(server, to, size), 0);
  ASSERT_EQ(::listen(server, 4), 0);
  const auto connect = [&] {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return std::string(::connect(fd, to, size) == 0 ? "connected" : std::strerror(errno));
  };
  EXPECT_EQ(connect(), "connected");
  EXPECT_EQ(Inside(connect), std::strerror(ECONNREFUSED));
  ::close(server);
}

TEST_F(PrivateViewTest, LeavesNoCapability) {
  const std::string status = Inside([] {
    std::ifstream file("/proc/self/status");
    return std::string(std::istreambuf_iterator<char>(file), {});
  });
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    EXPECT_THAT(status, HasSubstr(std::string(set) + ":\t0000000000000000"));
}

}  // namespace
}  // namespace auspex
