// SPDX-License-Identifier: AGPL-3.0-only
// What serving takes is in common/harden/serving_calls.cc; here is what calling takes: two neighbours over Unix sockets, and a
// coordinator by name over TLS. What is not named is refused and does not kill, because which modules look a name up is the
// host's to say (nsswitch.conf): they may try what they can do without. For the same reason code may be mapped from files, which
// is how such a module is loaded; memory that can be written is never executable.
#include "netd/syscalls.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "common/harden/serving_calls.h"

namespace auspex {
namespace {

AllowList MakeList() {
  AllowList list = ServingCalls();
  list.otherwise = Otherwise::kRefuse;
  list.Add({
      // Calling.
      {"connect", {}, "gRPC: keyd and stated; libcurl: the coordinator; C library: a name server"},
      SocketOf(AF_UNIX, "gRPC: keyd and stated; C library: a service that looks names up"),
      SocketOf(AF_INET, "libcurl, C library's resolver"),
      SocketOf(AF_INET6, "the same"),
      SocketOf(AF_NETLINK, "C library: which addresses this host has"),
      {"bind", {}, "C library: that netlink socket; there is no listen, so it opens no port"},
      {"getpeername", {}, "gRPC and libcurl: who is at the other end"},
      {"socketpair", {{0, kInt, AF_UNIX}}, "libcurl: wakes its own wait"},
      {"pipe2", {}, "the same, in other builds"},
      {"sendto", {}, "C library's resolver: to a name server, to netlink"},
      {"sendmmsg", {}, "C library's resolver: both kinds of address at once"},
      {"ioctl", {{1, kInt, 0x541b}}, "C library's resolver: FIONREAD, the size of an answer"},
      SetsockoptOf(SOL_SOCKET, SO_KEEPALIVE, "libcurl: a dead connection is noticed"),
      SetsockoptOf(IPPROTO_TCP, TCP_NODELAY, "libcurl"),
      SetsockoptOf(IPPROTO_TCP, TCP_KEEPIDLE, "libcurl"),
      SetsockoptOf(IPPROTO_TCP, TCP_KEEPINTVL, "libcurl"),
      SetsockoptOf(IPPROTO_TCP, TCP_KEEPCNT, "libcurl"),
      SetsockoptOf(IPPROTO_TCP, TCP_USER_TIMEOUT, "gRPC"),
      SetsockoptOf(IPPROTO_IP, IP_RECVERR, "C library's resolver: a closed port is noticed"),
      SetsockoptOf(IPPROTO_IPV6, IPV6_RECVERR, "the same"),
      GetsockoptOf(SOL_SOCKET, SO_TYPE, "C library's resolver"),
      FcntlOf(F_SETFL, "gRPC and libcurl: sockets that do not block"),
      FcntlOf(F_GETFD, "gRPC: close-on-exec"),
      FcntlOf(F_SETFD, "the same"),

      // Names and certificates.
      {"mmap", {{2, PROT_WRITE, 0}}, "C library: a module of nsswitch.conf, mapped from its file"},
      {"pread64", {}, "C library: such a module's headers"},
      {"stat", {}, "C library and OpenSSL: is a file there, has it changed"},
      {"lstat", {}, "the same"},
      {"access", {}, "the same"},
      {"faccessat", {}, "the same"},
      {"faccessat2", {}, "the same"},
      {"readlink", {}, "paths of certificates and of resolv.conf"},
      {"readlinkat", {}, "the same"},
      {"getdents64", {}, "folders of certificates"},
      {"getuid", {}, "OpenSSL, C library: is this a program with more rights than its user"},
      {"getgid", {}, "the same"},
      {"getegid", {}, "the same"},
  });
  return list;
}

}  // namespace

const AllowList& NetdCalls() {
  static const AllowList list = MakeList();
  return list;
}

}  // namespace auspex
