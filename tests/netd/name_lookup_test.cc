// SPDX-License-Identifier: AGPL-3.0-only
// Names under netd's list of system calls: the C library asks a real name server, over UDP and over TCP, in a network of the test's
// own. Here a call that the list does not name kills, so that one which the library could do without is noticed too.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>

#include "common/base/cat.h"
#include "common/base/sanitized.h"
#include "common/base/unique_fd.h"
#include "common/harden/harden.h"
#include "netd/syscalls.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

namespace auspex {
namespace {

constexpr char kAddress[] = "192.0.2.7";  // of TEST-NET-1 (RFC 5737)
constexpr int kFound = 0, kNotFound = 1, kNoNamespaces = 77, kNoNetwork = 78, kNoFilter = 79;

sockaddr_in At(in_addr_t host, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(host);
  return address;
}

// The answer to a query of one question (RFC 1035, section 4): an address for type A, nothing for others. `cut`: only that there is more.
std::string Answer(const std::string& query, bool cut) {
  constexpr size_t kHeader = 12;
  const size_t name_end = query.find('\0', kHeader);
  if (name_end == std::string::npos || query.size() < name_end + 5) return "";
  const bool of_address = query[name_end + 2] == 1 && !cut;
  std::string answer = query.substr(0, name_end + 5);
  answer[2] = static_cast<char>(cut ? 0x83 : 0x81);
  answer[3] = static_cast<char>(0x80);
  answer.replace(6, 6, std::string("\0\0\0\0\0\0", 6));
  if (!of_address) return answer;
  answer[7] = 1;
  in_addr address{};
  inet_pton(AF_INET, kAddress, &address);
  answer += std::string("\xc0\x0c\0\1\0\1\0\0\0\1\0\4", 12);
  answer.append(reinterpret_cast<const char*>(&address), sizeof address);
  return answer;
}

// Answers on both sockets for ever. A name that begins with "large" does not fit into a datagram.
[[noreturn]] void Serve(int datagrams, int streams) {
  char buffer[2048];
  for (;;) {
    pollfd ready[] = {{datagrams, POLLIN, 0}, {streams, POLLIN, 0}};
    poll(ready, 2, -1);
    if (ready[0].revents != 0) {
      sockaddr_in peer{};
      socklen_t length = sizeof peer;
      const ssize_t got = recvfrom(datagrams, buffer, sizeof buffer, 0,
                                   reinterpret_cast<sockaddr*>(&peer), &length);
      const std::string query(buffer, static_cast<size_t>(std::max<ssize_t>(got, 0)));
      const std::string answer = Answer(query, query.find("large") != std::string::npos);
      sendto(datagrams, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&peer),
             length);
    }
    if (ready[1].revents != 0) {
      const UniqueFd peer(accept4(streams, nullptr, nullptr, SOCK_CLOEXEC));
      uint16_t length = 0;
      while (recv(peer.get(), &length, sizeof length, MSG_WAITALL) == sizeof length) {
        const ssize_t got =
            recv(peer.get(), buffer, std::min<size_t>(ntohs(length), sizeof buffer), MSG_WAITALL);
        const std::string answer =
            Answer(std::string(buffer, static_cast<size_t>(std::max<ssize_t>(got, 0))), false);
        const uint16_t size = htons(static_cast<uint16_t>(answer.size()));
        std::string message(reinterpret_cast<const char*>(&size), sizeof size);
        message += answer;
        send(peer.get(), message.data(), message.size(), MSG_NOSIGNAL);
      }
    }
  }
}

bool MakeNamespaces() {
  const std::string map = Cat("0 ", geteuid(), " 1");
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) != 0) return false;
  std::ofstream("/proc/self/uid_map") << map;
  return true;
}

// A network with a loopback alone, the files of `folder` in place of the host's, and a name server that ends with this process.
bool MakeNetwork(const std::string& folder) {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  for (const char* name : {"resolv.conf", "nsswitch.conf"}) {
    if (mount(Cat(folder, "/", name).c_str(), Cat("/etc/", name).c_str(), nullptr, MS_BIND,
              nullptr) != 0)
      return false;
  }
  const UniqueFd control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq loopback{};
  std::strcpy(loopback.ifr_name, "lo");
  loopback.ifr_flags = IFF_UP;
  if (ioctl(control.get(), SIOCSIFFLAGS, &loopback) != 0) return false;
  // One address beside 127.0.0.1, which does not count as one.
  ifreq more{};
  std::strcpy(more.ifr_name, "lo:1");
  const sockaddr_in own = At(0xc0000201, 0);
  std::memcpy(&more.ifr_addr, &own, sizeof own);
  if (ioctl(control.get(), SIOCSIFADDR, &more) != 0) return false;
  const UniqueFd datagrams(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const UniqueFd streams(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = At(INADDR_LOOPBACK, 53);
  for (const int fd : {datagrams.get(), streams.get()}) {
    if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
  }
  if (listen(streams.get(), 8) != 0) return false;
  if (fork() == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    Serve(datagrams.get(), streams.get());
  }
  return true;
}

int LookUp(const char* name, int flags) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  if (getaddrinfo(name, "443", &hints, &found) != 0) return kNotFound;
  char text[INET_ADDRSTRLEN] = "";
  if (found->ai_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(found->ai_addr)->sin_addr, text,
              sizeof text);
  }
  freeaddrinfo(found);
  return std::string(text) == kAddress ? kFound : kNotFound;
}

// How a process ends that looks `name` up as netd does.
int EndOf(const char* name, int flags) {
  const testing::TempDir folder;
  std::ofstream(folder.path() + "/resolv.conf") << "nameserver 127.0.0.1\noptions timeout:5\n";
  std::ofstream(folder.path() + "/nsswitch.conf") << "hosts: files dns\n";
  const pid_t child = fork();
  if (child == 0) {
    if (!MakeNamespaces()) _exit(kNoNamespaces);
    if (!MakeNetwork(folder.path())) _exit(kNoNetwork);
    AllowList list = NetdCalls();
    list.otherwise = Otherwise::kKill;
    if (!NoNewPrivileges().ok() || !KeepOnly(list).ok()) _exit(kNoFilter);
    _exit(LookUp(name, flags));
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

class NameLookup : public ::testing::Test {
 protected:
  void SetUp() override {
    AUSPEX_SKIP_UNLESS(!kSanitized, "a build without a sanitizer, which makes calls of its own");
  }
  void ExpectFound(const char* name, int flags) {
    const int status = EndOf(name, flags);
    AUSPEX_SKIP_UNLESS(!WIFEXITED(status) || WEXITSTATUS(status) != kNoNamespaces,
                       "user, mount and network namespaces for this user");
    EXPECT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), kFound);
  }
};

TEST_F(NameLookup, OverUdpMakesNoCallThatIsNotInTheList) { ExpectFound("name.example", 0); }
TEST_F(NameLookup, OverTcpMakesNone) { ExpectFound("large.example", 0); }
TEST_F(NameLookup, WithALookAtTheHostsAddressesMakesNone) {
  ExpectFound("name.example", AI_ADDRCONFIG);
}

}  // namespace
}  // namespace auspex
