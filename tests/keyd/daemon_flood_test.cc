// SPDX-License-Identifier: AGPL-3.0-only
// A peer with the right key that opens streams and resets them at once, as fast as the socket takes them, and reads nothing (the
// "rapid reset" of 2023): keyd's memory stays bounded, the connection is cut, and others are answered. The bound is on what keyd keeps
// in memory, well above its use at work (under 10 MiB) and far below what the flood took before there was one (over 1 GiB).
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "common/base/sanitized.h"
#include "common/base/unique_fd.h"
#include "common/ipc/role_key.h"
#include "tests/keyd/keyd_process.h"
#include "tests/keyd/rig.h"
#include "tests/support/skip.h"

namespace auspex::keyd {
namespace {

constexpr long kMostKib = 320 * 1024;
constexpr int kBatches = 600, kStreamsOfABatch = 200;

std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload) {
  std::string out;
  for (const int shift : {16, 8, 0}) out.push_back(static_cast<char>(payload.size() >> shift));
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(stream >> shift));
  return out + payload;
}

// A header field that the peer is to remember (RFC 7541, section 6.2.1).
std::string Remembered(const std::string& name, const std::string& value) {
  return std::string(1, '\x40') + static_cast<char>(name.size()) + name +
         static_cast<char>(value.size()) + value;
}

long ResidentKib(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::atol(line.c_str() + 6);
  }
  return -1;
}

// A connection to the socket at `path`, past its door.
UniqueFd Enter(const std::string& path, const timeval& patience) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const auto key = ReadRoleKey(path);
  EXPECT_TRUE(key.ok()) << key.status();
  const std::string words = "CONNECT auspex HTTP/1.0\r\nAuspex-Role-Key: " + *key + "\r\n\r\n";
  EXPECT_EQ(::send(fd.get(), words.data(), words.size(), MSG_NOSIGNAL), ssize_t(words.size()));
  char answer[256];
  EXPECT_GT(::recv(fd.get(), answer, sizeof answer, 0), 0);
  return fd;
}

// Floods the socket at `path`. True when the server ended the connection.
bool Flood(const KeydProcess& keyd, const std::string& path, long& most_kib) {
  const UniqueFd fd = Enter(path, {5, 0});
  std::string octets = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(4, 0, 0, "");
  const std::string first = Remembered(":method", "POST") + Remembered(":scheme", "http") +
                            Remembered(":path", "/auspex.keyd.v1.RequestSigner/SignRequest") +
                            Remembered(":authority", "x") +
                            Remembered("content-type", "application/grpc") +
                            Remembered("te", "trailers");
  std::string again;  // the same fields by their numbers in the table
  for (int i = 0; i < 6; ++i) again.push_back(static_cast<char>(0x80 | (62 + i)));
  uint32_t stream = 1;
  for (int batch = 0; batch < kBatches; ++batch) {
    for (int i = 0; i < kStreamsOfABatch; ++i, stream += 2) {
      octets += Frame(1, 4, stream, stream == 1 ? first : again);
      octets += Frame(3, 0, stream, std::string("\0\0\0\x08", 4));
    }
    for (size_t at = 0; at < octets.size();) {
      const ssize_t sent = ::send(fd.get(), octets.data() + at, octets.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) return errno == EPIPE || errno == ECONNRESET;
      at += static_cast<size_t>(sent);
    }
    octets.clear();
    most_kib = std::max(most_kib, ResidentKib(keyd.pid()));
  }
  return false;
}

TEST(DaemonFlood, StreamsThatAreResetAtOnceCostThePeerItsConnectionAndNotTheMachine) {
  AUSPEX_SKIP_UNLESS(!kSanitized,
                     "a build without a sanitizer: the C library's count of its heap is the bound");
  ScratchDir home;
  KeydProcess keyd(home.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  keyd.CreateKey();
  keyd.Enrol();
  long most_kib = 0;
  const bool cut = Flood(keyd, keyd.SocketPath("request"), most_kib);
  EXPECT_TRUE(cut) << "the flood was never cut";
  EXPECT_LT(most_kib, kMostKib);
  EXPECT_NE(keyd.log().find("event=peer_cut"), std::string::npos);
  // The same role serves on, for who behaves.
  v1::SignRequestRequest poll;
  poll.mutable_poll();
  v1::SignedRequest answer;
  const grpc::Status status = keyd.request()->SignRequest(Deadline().get(), poll, &answer);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_FALSE(answer.signature().empty());
}

// The peer of one role asks and never reads, until keyd keeps so much for it that it reads no more of it, on all the connections that
// it may have. A peer of another role with a large message is answered all the same.
TEST(DaemonFlood, WhoDoesNotReadItsAnswersHasNobodyElseCut) {
  ScratchDir home;
  KeydProcess keyd(home.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  keyd.CreateKey();
  std::string pings;
  for (int i = 0; i < 1000; ++i) pings += Frame(6, 0, 0, "12345678");
  std::vector<UniqueFd> idle;
  for (int i = 0; i < 14; ++i) {
    idle.push_back(Enter(keyd.SocketPath("request"), {0, 300'000}));
    const std::string begin = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(4, 0, 0, "");
    ::send(idle.back().get(), begin.data(), begin.size(), MSG_NOSIGNAL);
    // Ends when the socket takes no more for so long, or keyd has cut it.
    for (int batch = 0; batch < 1000; ++batch) {
      if (::send(idle.back().get(), pings.data(), pings.size(), MSG_NOSIGNAL) !=
          ssize_t(pings.size())) {
        break;
      }
    }
  }
  v1::SignResultRequest result;
  result.set_unit_id("u-1");
  result.set_assignment_id("asg-1");
  result.set_completed_at("2026-07-19T23:21:50.000123+00:00");
  result.set_schema_version(2);
  result.set_ran_under("strict");
  result.set_canonical_payload("{\"a\":\"" + std::string(1024 * 1024, 'x') + "\"}");
  for (int i = 0; i < 3; ++i) {
    v1::SignResultResponse answer;
    const grpc::Status status = keyd.result()->SignResult(Deadline().get(), result, &answer);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
}

}  // namespace
}  // namespace auspex::keyd
