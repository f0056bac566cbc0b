// SPDX-License-Identifier: AGPL-3.0-only
// What a daemon tells the service manager, read from a real datagram socket.
#include "common/ipc/service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>

#include "tests/support/temp_dir.h"

namespace auspex {
namespace {

class ServiceManagerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = folder_ / "notify";
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    fd_.Reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ASSERT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  void TearDown() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }
  // The next datagram; "" when there is none.
  std::string Next() {
    char text[1024];
    const ssize_t size = ::recv(fd_.get(), text, sizeof text, 0);
    return size > 0 ? std::string(text, static_cast<size_t>(size)) : "";
  }

  testing::TempDir folder_;
  UniqueFd fd_;
};

TEST_F(ServiceManagerTest, PingsAndTellsAStatusOnlyWhenItChanged) {
  ::setenv("WATCHDOG_USEC", "4000000", 1);
  ServiceManager manager = ServiceManager::FromEnvironment();
  ASSERT_TRUE(manager.there());
  EXPECT_EQ(manager.PatienceMs(), 2000);
  manager.Ping([] { return "1 of 2 slots busy"; });
  EXPECT_EQ(Next(), "WATCHDOG=1");
  EXPECT_EQ(Next(), "STATUS=1 of 2 slots busy");
  manager.Ping([] { return "1 of 2 slots busy"; });
  EXPECT_EQ(Next(), "WATCHDOG=1");
  EXPECT_EQ(Next(), "");
}

// A line feed would begin another assignment: what the coordinator or the disk says must not become READY or MAINPID.
TEST_F(ServiceManagerTest, AStatusStaysOneShortLine) {
  ServiceManager manager = ServiceManager::FromEnvironment();
  manager.TellStatus("full\nMAINPID=1\x1b[2J" + std::string(1000, 'x'));
  const std::string told = Next();
  EXPECT_EQ(told.substr(0, 24), "STATUS=full?MAINPID=1?[2");
  EXPECT_EQ(told.size(), std::strlen("STATUS=") + 200);
}

TEST_F(ServiceManagerTest, AWatchdogMeantForAnotherProcessIsNotFed) {
  ::setenv("WATCHDOG_USEC", "4000000", 1);
  ::setenv("WATCHDOG_PID", "1", 1);
  ServiceManager manager = ServiceManager::FromEnvironment();
  EXPECT_EQ(manager.PatienceMs(), 5000);
  manager.Ping(nullptr);
  EXPECT_EQ(Next(), "");
}

// The socket is connected at the start: a daemon that confined itself no longer finds it.
TEST_F(ServiceManagerTest, TheSocketIsNotLookedForLater) {
  const ServiceManager manager = ServiceManager::FromEnvironment();
  ASSERT_EQ(::rename((folder_ / "notify").c_str(), (folder_ / "elsewhere").c_str()), 0);
  manager.Tell("READY=1");
  EXPECT_EQ(Next(), "READY=1");
}

TEST_F(ServiceManagerTest, OneThatDoesNotReadHoldsADaemonUpForASecondAtMost) {
  const ServiceManager manager = ServiceManager::FromEnvironment();
  int told = 0;
  const auto begin = std::chrono::steady_clock::now();
  // A datagram socket takes a few and then no more (net.unix.max_dgram_qlen).
  while (told < 100'000 &&
         std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(800)) {
    manager.Tell("STATUS=x");
    ++told;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
  EXPECT_EQ(Next(), "STATUS=x");
}

TEST(WithoutAServiceManager, NothingIsWaitedForOrTold) {
  ServiceManager manager = ServiceManager::FromEnvironment();
  EXPECT_FALSE(manager.there());
  EXPECT_EQ(manager.PatienceMs(), -1);
  manager.Ping([] { return "nobody hears it"; });
}

}  // namespace
}  // namespace auspex
