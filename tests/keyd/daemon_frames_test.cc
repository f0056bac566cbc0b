// SPDX-License-Identifier: AGPL-3.0-only
// Ten thousand malformed connections on each role's socket of the real program: octets that are no
// HTTP/2, a right beginning and broken frames, endless headers, lengths that promise gigabytes, and
// half messages. keyd stays alive, answers at once afterwards, signs nothing of it, and its memory
// does not follow. Also messages with every field larger than its bound.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "common/base/sanitized.h"
#include "common/base/unique_fd.h"
#include "common/crypto/sha256.h"
#include "common/ipc/role_key.h"
#include "tests/keyd/keyd_process.h"
#include "tests/keyd/random_fields.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

constexpr int kConnections = 10'000;
constexpr const char* kRoles[] = {"request", "result", "owner"};
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// RFC 9113, section 4.1.
std::string Frame(uint32_t length, uint8_t type, uint8_t flags, uint32_t stream,
                  const std::string& payload) {
  std::string out;
  for (const int shift : {16, 8, 0}) out.push_back(static_cast<char>(length >> shift));
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(stream >> shift));
  return out + payload;
}

constexpr uint8_t kData = 0, kHeaders = 1, kSettings = 4, kContinuation = 9;
constexpr uint8_t kEndStream = 1, kEndHeaders = 4;

// A header field without compression (RFC 7541, section 6.2.2).
std::string Literal(const std::string& name, const std::string& value) {
  const auto counted = [](const std::string& text) {
    std::string out;
    if (text.size() < 127) {
      out.push_back(static_cast<char>(text.size()));
    } else {
      out.push_back(127);
      for (size_t rest = text.size() - 127;; rest >>= 7) {
        out.push_back(static_cast<char>(rest < 128 ? rest : (rest & 127) | 128));
        if (rest < 128) break;
      }
    }
    return out + text;
  };
  return std::string(1, '\0') + counted(name) + counted(value);
}

std::string HeadersOfACall(const std::string& path) {
  return Literal(":method", "POST") + Literal(":scheme", "http") + Literal(":path", path) +
         Literal(":authority", "x") + Literal("content-type", "application/grpc") +
         Literal("te", "trailers");
}

std::string PathOf(std::string_view role) {
  if (role == "request") return "/auspex.keyd.v1.RequestSigner/SignRequest";
  if (role == "result") return "/auspex.keyd.v1.ResultSigner/SignResult";
  return "/auspex.keyd.v1.KeyOwner/OpenGrant";
}

// What one bad connection says after the door.
std::string Malformed(std::string_view role, RandomFields& random) {
  const std::string hello = std::string(kPreface) + Frame(0, kSettings, 0, 0, "");
  const std::string headers = HeadersOfACall(PathOf(role));
  const auto call = [&](const std::string& data, uint8_t flags) {
    return hello + Frame(static_cast<uint32_t>(headers.size()), kHeaders, kEndHeaders, 1, headers) +
           Frame(static_cast<uint32_t>(data.size()), kData, flags, 1, data);
  };
  const auto length_prefix = [](uint32_t length) {
    std::string out(1, '\0');
    for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(length >> shift));
    return out;
  };
  switch (random.Number(0, 9)) {
    case 0:  // no HTTP/2 at all
      return random.Octets(random.Number(0, 2000));
    case 1:  // half of the beginning
      return hello.substr(0, static_cast<size_t>(random.Number(0, int64_t(hello.size()) - 1)));
    case 2:  // frames of any kind, length and stream
      return hello + Frame(static_cast<uint32_t>(random.Number(0, 100)),
                           static_cast<uint8_t>(random.Number(0, 255)),
                           static_cast<uint8_t>(random.Number(0, 255)),
                           static_cast<uint32_t>(random.Number(0, UINT32_MAX)),
                           random.Octets(random.Number(0, 200)));
    case 3:  // a frame that promises 16 MiB
      return hello + Frame(0xffffff, kData, 0, 1, random.Octets(100));
    case 4:  // headers that are no HPACK
    {
      const std::string rotten = random.Octets(random.Number(1, 500));
      return hello + Frame(static_cast<uint32_t>(rotten.size()), kHeaders, kEndHeaders, 1, rotten);
    }
    case 5:  // one huge header after the other, and no end
    {
      const std::string huge = Literal("x-" + random.Text("abc", 4), random.Text("ab", 15'000));
      std::string out =
          hello + Frame(static_cast<uint32_t>(headers.size()), kHeaders, 0, 1, headers);
      for (int i = 0; i < 3; ++i) {
        out += Frame(static_cast<uint32_t>(huge.size()), kContinuation, 0, 1, huge);
      }
      return out;
    }
    case 6:  // a message that promises 4 GiB
      return call(length_prefix(0xffffffff) + random.Octets(100), 0);
    case 7:  // half a message, and an end
      return call(length_prefix(1000) + random.Octets(random.Number(0, 900)), kEndStream);
    case 8:  // a whole message that is no protobuf
    {
      const std::string rotten = random.Octets(random.Number(1, 300));
      return call(length_prefix(static_cast<uint32_t>(rotten.size())) + rotten, kEndStream);
    }
    default:  // said to be compressed
      return call("\1" + length_prefix(50).substr(1) + random.Octets(50), kEndStream);
  }
}

UniqueFd ConnectRaw(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const timeval patience{5, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fd.Reset();
  return fd;
}

constexpr std::string_view kLetIn = "HTTP/1.0 200 OK\r\n\r\n";

void Say(int fd, const std::string& words) {
  (void)!::send(fd, words.data(), words.size(), MSG_NOSIGNAL);
}

// What comes back, up to `most` octets or the end.
std::string Hear(int fd, size_t most) {
  std::string heard;
  char part[4096];
  while (heard.size() < most) {
    const ssize_t got = ::recv(fd, part, std::min(sizeof part, most - heard.size()), 0);
    if (got <= 0) break;
    heard.append(part, static_cast<size_t>(got));
  }
  return heard;
}

// Proportional set size in KiB.
long PssOf(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/smaps_rollup");
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("Pss:", 0) == 0) return std::stol(line.substr(4));
  }
  return -1;
}

bool Alive(pid_t pid) { return ::kill(pid, 0) == 0; }

TEST(MalformedFrames, TenThousandOnEachSocketLeaveKeydAliveAnsweringAndSmall) {
  const ScratchDir home;
  const KeydProcess keyd(home.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  keyd.CreateKey();
  keyd.Enrol();
  RandomFields random;
  SCOPED_TRACE("AUSPEX_TEST_SEED=" + std::to_string(random.seed()));
  for (const char* role : kRoles) {
    SCOPED_TRACE(role);
    const std::string path = keyd.SocketPath(role);
    const auto key = ReadRoleKey(path);
    ASSERT_TRUE(key.ok()) << key.status();
    const std::string door = "CONNECT auspex HTTP/1.0\r\nAuspex-Role-Key: " + *key + "\r\n\r\n";
    long pss_of_first = 0;
    int let_in = 0, answered = 0;
    for (int i = 0; i < kConnections; ++i) {
      if (i == 1000) pss_of_first = PssOf(keyd.pid());
      UniqueFd fd = ConnectRaw(path);
      ASSERT_TRUE(fd) << "connection " << i << " was not accepted: " << keyd.log();
      const std::string words = Malformed(role, random);
      // One in ten says its rubbish at the door, with the door's words before it or without.
      if (random.Chance(10)) {
        Say(fd.get(), random.Chance(50) ? words : door + words);
        continue;
      }
      Say(fd.get(), door);
      if (!Hear(fd.get(), kLetIn.size()).starts_with("HTTP/1.0 200")) continue;
      ++let_in;
      Say(fd.get(), words);
      // Half leave at once, half hear the answer to its end.
      if (random.Chance(50)) continue;
      ::shutdown(fd.get(), SHUT_WR);
      if (!Hear(fd.get(), SIZE_MAX).empty()) ++answered;
    }
    ASSERT_TRUE(Alive(keyd.pid())) << keyd.log();
    EXPECT_GT(let_in, kConnections / 2) << "the others met the door alone";
    EXPECT_GT(answered, kConnections / 4) << "by HTTP/2: what was said was parsed";
    // A sanitizer keeps what was freed for a while.
    const long bound_kib = kSanitized ? 512 * 1024 : 8 * 1024;
    EXPECT_LT(PssOf(keyd.pid()), pss_of_first + bound_kib) << "KiB, after 1,000: " << pss_of_first;
  }
  // All that can be asked for is still answered; nothing was signed meanwhile, nothing granted.
  EXPECT_EQ(keyd.Status().signatures(), 0u);
  v1::SignRequestRequest poll, retire;
  poll.mutable_poll();
  retire.mutable_retire();
  v1::SignedRequest out;
  EXPECT_TRUE(keyd.request()->SignRequest(Deadline().get(), poll, &out).ok());
  EXPECT_EQ(keyd.request()->SignRequest(Deadline().get(), retire, &out).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  v1::SignRawTextRequest raw;
  raw.set_unit_id("u-1");
  raw.set_assignment_id("asg-1");
  raw.set_raw_sha256(Sha256("text"));
  v1::SignRawTextResponse answer;
  EXPECT_TRUE(keyd.result()->SignRawText(Deadline().get(), raw, &answer).ok());
}

TEST(OversizedFields, EveryFieldLargerThanItsBoundIsRefused) {
  const ScratchDir home;
  const KeydProcess keyd(home.path());
  ASSERT_TRUE(keyd.ready()) << keyd.log();
  keyd.CreateKey();
  keyd.Enrol();
  const std::string large(60'000, 'a');
  const std::string digest = Sha256("{}");
  std::vector<v1::SignRequestRequest> requests(13);
  const auto fill = [&](auto* message, const std::string& unit, const std::string& assignment,
                        const std::string& body) {
    message->set_unit_id(unit);
    message->set_assignment_id(assignment);
    message->set_body_sha256(body);
  };
  fill(requests[0].mutable_refuse(), large, "asg-1", digest);
  fill(requests[1].mutable_refuse(), "u-1", large, digest);
  fill(requests[2].mutable_refuse(), "u-1", "asg-1", large);
  fill(requests[3].mutable_submit_result(), large, "asg-1", digest);
  fill(requests[4].mutable_submit_result(), "u-1", large, digest);
  fill(requests[5].mutable_submit_result(), "u-1", "asg-1", large);
  requests[6].mutable_heartbeat()->set_body_sha256(large);
  requests[7].mutable_fetch_receipt()->set_result_id(large);
  requests[8].mutable_fetch_package()->set_manifest_sha256(large);
  requests[9].mutable_upgrade()->set_body_sha256(large);
  requests[10].mutable_get_attribution()->set_account_id(large);
  requests[11].mutable_put_attribution()->set_account_id("acct-1");
  requests[11].mutable_put_attribution()->set_body_sha256(large);
  requests[12].mutable_serve_recovered()->set_body_sha256(large);
  const auto stub = keyd.request();
  for (const v1::SignRequestRequest& request : requests) {
    v1::SignedRequest out;
    EXPECT_EQ(stub->SignRequest(Deadline().get(), request, &out).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT)
        << request.ShortDebugString().substr(0, 40);
  }
  v1::SignResultRequest good;
  good.set_unit_id("u-1");
  good.set_assignment_id("asg-1");
  good.set_completed_at("2026-07-19T23:21:50+00:00");
  good.set_canonical_payload("{}");
  good.set_schema_version(2);
  good.set_ran_under("strict");
  std::vector<v1::SignResultRequest> results(7, good);
  results[0].set_unit_id(large);
  results[1].set_assignment_id(large);
  results[2].set_completed_at(large);
  results[3].set_ran_under(large);
  results[4].set_canonical_payload("{\"a\":\"" + std::string(1600 * 1024, 'x') + "\"}");
  (*results[5].mutable_served_weights())[large] = std::string(64, 'a');
  (*results[6].mutable_served_weights())["m"] = large;
  for (const v1::SignResultRequest& request : results) {
    v1::SignResultResponse out;
    EXPECT_EQ(keyd.result()->SignResult(Deadline().get(), request, &out).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT);
  }
  v1::OpenGrantRequest grant;
  grant.set_act(v1::OWNER_ACT_RETIRE);
  grant.set_worker_id(large);
  v1::OpenGrantResponse granted;
  EXPECT_EQ(keyd.owner()->OpenGrant(Deadline().get(), grant, &granted).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  v1::SetEnrolmentRequest enrolment;
  enrolment.set_base_url("https://" + large + ".example");
  enrolment.set_worker_id("wkr-1");
  v1::SetEnrolmentResponse pinned;
  EXPECT_EQ(keyd.owner()->SetEnrolment(Deadline().get(), enrolment, &pinned).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  enrolment.set_base_url("https://coord.example");
  enrolment.set_worker_id(large);
  EXPECT_EQ(keyd.owner()->SetEnrolment(Deadline().get(), enrolment, &pinned).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(keyd.Status().signatures(), 0u);
  // What a refusal puts into the journal is bounded too.
  for (const v1::JournalRecord& record : keyd.Journal()) {
    EXPECT_LE(record.subject().size() + record.unit().size() + record.cause().size(), 3u * 255);
  }
}

}  // namespace
}  // namespace auspex::keyd
