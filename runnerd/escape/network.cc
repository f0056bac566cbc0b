// SPDX-License-Identifier: AGPL-3.0-only
// Attempts on sockets: the daemons' own, abstract names, and every family but the local one.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "runnerd/escape/attempt.h"

namespace auspex::escape {
namespace {

// `name` begins with NUL for an abstract one.
std::string Connects(const std::string& name) {
  if (name.size() < 2) return "no-target";
  const int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t size = std::min(name.size(), sizeof address.sun_path);
  memcpy(address.sun_path, name.data(), size);
  return Outcome(connect(s, reinterpret_cast<sockaddr*>(&address),
                         static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size)) == 0);
}

// By number: the names of the internet's families are for those who use them.
std::string Family(long family, int type = SOCK_STREAM) {
  return Call(SYS_socket, family, type, 0);
}

constexpr long kWide = 0x100000000;  // the kernel takes an int and ignores this

constexpr Try kTries[] = {
    {"connect-keyd-request", [](const Targets& t) { return Connects(t.Get("keyd-request")); }},
    {"connect-keyd-result", [](const Targets& t) { return Connects(t.Get("keyd-result")); }},
    {"connect-keyd-owner", [](const Targets& t) { return Connects(t.Get("keyd-owner")); }},
    {"connect-stated-net", [](const Targets& t) { return Connects(t.Get("stated-net")); }},
    {"connect-stated-run", [](const Targets& t) { return Connects(t.Get("stated-run")); }},
    {"connect-stated-owner", [](const Targets& t) { return Connects(t.Get("stated-owner")); }},
    {"connect-netd-owner", [](const Targets& t) { return Connects(t.Get("netd-owner")); }},
    {"connect-runnerd-owner", [](const Targets& t) { return Connects(t.Get("runnerd-owner")); }},
    {"connect-abstract",
     [](const Targets& t) { return Connects(std::string(1, '\0') + t.Get("abstract")); }},
    {"socket-inet", [](const Targets&) { return Family(2); }},
    {"socket-inet-udp", [](const Targets&) { return Family(2, SOCK_DGRAM); }},
    {"socket-inet-wide", [](const Targets&) { return Family(kWide | 2); }},
    {"socket-inet6", [](const Targets&) { return Family(10); }},
    {"socket-raw", [](const Targets&) { return Call(SYS_socket, 2, SOCK_RAW, 1); }},
    {"socket-netlink", [](const Targets&) { return Family(16, SOCK_RAW); }},
    {"socket-packet", [](const Targets&) { return Family(17, SOCK_RAW); }},
    {"socket-packet-wide", [](const Targets&) { return Family(kWide | 17, SOCK_RAW); }},
    {"socket-key", [](const Targets&) { return Call(SYS_socket, 15, SOCK_RAW, 2); }},
    {"socket-bluetooth", [](const Targets&) { return Family(31, SOCK_RAW); }},
    {"socket-alg", [](const Targets&) { return Family(38, SOCK_SEQPACKET); }},
    {"socket-vsock", [](const Targets&) { return Family(40); }},
    {"socket-vsock-wide", [](const Targets&) { return Family(kWide | 40); }},
    {"socket-kcm", [](const Targets&) { return Family(41, SOCK_DGRAM); }},
    {"socket-xdp", [](const Targets&) { return Family(44, SOCK_RAW); }},
    {"attach-filter",
     [](const Targets&) {
       int pair[2];
       if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) != 0) return std::string("no-pair");
       struct {
         unsigned short count;
         const void* filter;
       } program{0, nullptr};
       return Outcome(setsockopt(pair[0], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) ==
                      0);
     }},
};

}  // namespace

std::span<const Try> NetworkTries() { return kTries; }

}  // namespace auspex::escape
