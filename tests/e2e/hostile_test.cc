// SPDX-License-Identifier: AGPL-3.0-only
// A coordinator that does everything wrong. Whatever it answers: the loops go on, the next good
// unit is run, netd stays small, and the worker asks for nothing that it has no business with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <ctime>

#include "tests/e2e/hostile_coordinator.h"
#include "tests/e2e/lab.h"

namespace auspex::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using Line = HostileCoordinator::Line;
using Request = HostileCoordinator::Request;
using Handler = HostileCoordinator::Handler;

constexpr long kMostGrowthKib = 16 * 1024;

// One worker with the built-in executor, enrolled and running, for all tests of this file: what one
// attack leaves behind meets the next.
class Hostile : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder;
    server_ = new HostileCoordinator;
    worker_ = new Worker(*folder_ / "w", {.url = server_->url(),
                                          .slots = 2,
                                          .policy = "synthetic",
                                          .heartbeat_seconds = 0.1,
                                          .poll_seconds = 0.02});
    worker_->Bootstrap();
    worker_->StartDaemon();
    netd_ = worker_->PidOf("netd");
    RunGoodUnit("warm-up");
    resident_ = AnonymousKib(netd_);
  }
  static void TearDownTestSuite() {
    if (::testing::UnitTest::GetInstance()->failed_test_count() > 0) {
      const std::string log = ReadText(worker_->log());
      std::printf("---- daemon\n%s\n",
                  log.substr(log.size() > 6000 ? log.size() - 6000 : 0).c_str());
    }
    EXPECT_EQ(worker_->StopDaemon(), 0);
    delete worker_;
    delete server_;
    KillOrphans();
    EXPECT_THAT(ProcessesNaming(folder_->path()), IsEmpty());
    delete folder_;
  }

  static bool RunGoodUnit(const std::string& unit) {
    server_->Offer(unit, {{"good", true}});
    const bool arrived = Eventually(20, [&] { return server_->Results().contains(unit); });
    EXPECT_TRUE(arrived) << "the unit after it was not run: " << unit;
    return arrived;
  }

  // Makes one attack on the next request of `kind`, then looks whether the worker is as well as
  // before.
  static void Survives(const std::string& name, const std::string& kind, const Handler& handler) {
    SCOPED_TRACE(name);
    server_->Attack(kind, handler);
    if (kind == "result" || kind == "receipt") server_->Offer("bait-" + name, {{"bait", name}});
    if (kind == "refuse" || kind == "package") FAIL() << "needs a test of its own";
    ASSERT_TRUE(Eventually(20, [&] { return server_->AttacksLeft(kind) == 0; }))
        << "the worker does not ask any more";
    const int beats = server_->Count("heartbeat");
    EXPECT_TRUE(Eventually(20, [&] { return server_->Count("heartbeat") >= beats + 2; }))
        << "heartbeats stopped";
    RunGoodUnit("after-" + name);
    if (kind == "result") {
      EXPECT_TRUE(Eventually(30, [&] { return server_->Results().contains("bait-" + name); }))
          << "the result was given up";
    }
    ExpectWell();
  }

  static void ExpectWell() {
    EXPECT_EQ(worker_->PidOf("netd"), netd_) << "netd was started again";
    EXPECT_LE(AnonymousKib(netd_), resident_ + kMostGrowthKib) << "netd grew";
    EXPECT_THAT(server_->Unexpected(), IsEmpty());
  }

  static TempFolder* folder_;
  static HostileCoordinator* server_;
  static Worker* worker_;
  static pid_t netd_;
  static long resident_;
};
TempFolder* Hostile::folder_ = nullptr;
HostileCoordinator* Hostile::server_ = nullptr;
Worker* Hostile::worker_ = nullptr;
pid_t Hostile::netd_ = 0;
long Hostile::resident_ = 0;

Handler Says(int status, const std::string& body, const std::string& headers = "") {
  return [=](const Request&, Line& line) { line.Answer(status, body, headers); };
}

// `size` zero octets, gzip coded: a thousandth of that on the wire.
std::string GzipOfZeros(size_t size) {
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY);
  std::string zeros(1 << 20, ' '), out;
  std::string buffer(1 << 16, '\0');
  for (size_t done = 0; done <= size; done += zeros.size()) {
    stream.next_in = reinterpret_cast<Bytef*>(zeros.data());
    stream.avail_in = static_cast<uInt>(zeros.size());
    const bool last = done + zeros.size() > size;
    int result;
    do {
      stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
      stream.avail_out = static_cast<uInt>(buffer.size());
      result = deflate(&stream, last ? Z_FINISH : Z_NO_FLUSH);
      out.append(buffer.data(), buffer.size() - stream.avail_out);
    } while (stream.avail_out == 0 || (last && result != Z_STREAM_END));
  }
  deflateEnd(&stream);
  return out;
}

// Answers that are no answers, for whatever was asked.
std::map<std::string, Handler> Nonsense() {
  return {
      {"html", Says(200, "<html><body>Please log in to the hotel's network</body></html>")},
      {"empty", Says(200, "")},
      {"not-an-object", Says(200, "[1,2,3]")},
      {"nul-octets", Says(200, std::string(64, '\0'))},
      {"deep", Says(200, std::string(200'000, '[') + std::string(200'000, ']'))},
      {"many-values", Says(
                          200, "{\"a\":[" +
                                   [] {
                                     std::string t;
                                     for (int i = 0; i < 400'000; ++i) t += "0,";
                                     return t;
                                   }() +
                                   "0]}")},
      {"redirect", Says(302, "", "Location: /elsewhere\r\n")},
      {"redirect-permanent", Says(308, "", "Location: http://127.0.0.1:1/\r\n")},
      {"held-without-details",
       Says(423,
            R"({"detail":{"error":{"code":"worker_quarantined","message":null,"details":null}}})")},
      {"list-as-detail", Says(422, R"({"detail":[{"loc":["x"],"msg":"y","type":"z"}]})")},
      {"plain-500", Says(500, "Internal Server Error")},
      {"no-http", [](const Request&, Line& line) { line.Send("SSH-2.0-OpenSSH_9.2\r\n"); }},
      {"cut-off",
       [](const Request&, Line& line) {
         line.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"a\":");
       }},
      {"closed", [](const Request&, Line&) {}},
      {"bad-chunks",
       [](const Request&, Line& line) {
         line.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nxx");
       }},
      {"broken-gzip", Says(200, "\x1f\x8b\x08 this is no gzip", "Content-Encoding: gzip\r\n")},
      {"unasked-coding", Says(200, "....", "Content-Encoding: br\r\n")},
  };
}

TEST_F(Hostile, NonsenseToAPoll) {
  for (const auto& [name, handler] : Nonsense()) Survives("poll-" + name, "poll", handler);
}

TEST_F(Hostile, NonsenseToAHeartbeat) {
  for (const auto& [name, handler] : Nonsense()) {
    server_->Attack("heartbeat", handler);
    ASSERT_TRUE(Eventually(30, [&] { return server_->AttacksLeft("heartbeat") == 0; })) << name;
  }
  RunGoodUnit("after-heartbeats");
  ExpectWell();
}

TEST_F(Hostile, NonsenseToAResultIsTriedAgainWithTheSameOctets) {
  // One bait for each, all at once: every first attempt is answered with nonsense.
  for (
      const auto& [name, handler] :
      {std::pair{"html", Says(201, "<html>accepted</html>")},
       std::pair{"missing", Says(201, R"({"result_id":"res-x"})")},
       std::pair{
           "bad-id",
           Says(
               201,
               R"({"result_id":"../../x","unit_id":"u","unit_status_after":"completed","completions_so_far":1,"replication_target":1})")},
       std::pair{
           "expired",
           Says(
               401,
               R"({"detail":{"error":{"code":"signature_expired","message":"clock","details":{"created":1,"server_time":9999999999}}}})")},
       std::pair{"busy", Says(503, "busy")},
       std::pair{"closed", Handler([](const Request&, Line&) {})}}) {
    SCOPED_TRACE(name);
    std::string first;
    std::mutex mutex;
    const Handler keep = handler;
    server_->Attack("result", [&, keep](const Request& request, Line& line) {
      {
        const std::lock_guard lock(mutex);
        first = request.body;
      }
      keep(request, line);
    });
    const std::string unit = std::string("tried-") + name;
    server_->Offer(unit, {{"bait", name}});
    ASSERT_TRUE(Eventually(30, [&] { return server_->Results().contains(unit); }))
        << "the result was given up";
    const std::lock_guard lock(mutex);
    EXPECT_THAT(first, Not(IsEmpty()));
    EXPECT_THAT(server_->Results()[unit], ::testing::ElementsAre(first))
        << "the second attempt differs from the first";
  }
  ExpectWell();
}

// The clock's error is named in the log, with its size; an answer without usable times names none.
TEST_F(Hostile, AWrongClockIsNamed) {
  const std::string body =
      R"({"detail":{"error":{"code":"signature_expired","message":"clock","details":{"created":)" +
      std::to_string(std::time(nullptr)) + R"(,"server_time":)" +
      std::to_string(std::time(nullptr) + 4000) + "}}}}";
  Survives("poll-expired", "poll", Says(401, body));
  const std::string log = ReadText(worker_->log());
  // A second may pass between the two clocks' readings.
  EXPECT_THAT(log, ::testing::ContainsRegex("coordinator_minus_local_seconds=(3999|4000)"));
  Survives(
      "poll-expired-nonsense", "poll",
      Says(
          401,
          R"({"detail":{"error":{"code":"signature_expired","message":7,"details":{"created":"x","server_time":-1e400}}}})"));
}

TEST_F(Hostile, AssignmentsWithWrongMembersAreFailedPolls) {
  std::map<std::string, Json> wrong;
  const Json good = HostileCoordinator::Assignment("never-run", {{"x", 1}});
  const auto with = [&](const std::string& pointer, const Json& value) {
    Json changed = good;
    changed[Json::json_pointer(pointer)] = value;
    return changed;
  };
  wrong["unit-dots"] = with("/work_unit/unit_id", "../../../etc/passwd");
  wrong["unit-slash"] = with("/work_unit/unit_id", "a/b");
  wrong["unit-query"] = with("/work_unit/unit_id", "a?b=c");
  wrong["unit-empty"] = with("/work_unit/unit_id", "");
  wrong["unit-long"] = with("/work_unit/unit_id", std::string(129, 'u'));
  wrong["unit-number"] = with("/work_unit/unit_id", 7);
  wrong["unit-null-octet"] = with("/work_unit/unit_id", std::string("a\0b", 3));
  wrong["assignment-dots"] = with("/assignment_id", "..");
  wrong["assignment-null"] = with("/assignment_id", nullptr);
  wrong["assignment-object"] = with("/assignment_id", Json::object());
  wrong["experiment-slash"] = with("/experiment_id", "exp/../x");
  wrong["tenant-upper"] = with("/work_unit/tenant_id", "Evil Tenant");
  wrong["manifest-short"] = with("/work_unit/manifest_sha256", "abc");
  wrong["created-word"] = with("/work_unit/created_at", "yesterday");
  wrong["payload-list"] = with("/work_unit/payload", Json::array());
  wrong["payload-text"] = with("/work_unit/payload", "text");
  wrong["unit-is-list"] = with("/work_unit", Json::array());
  wrong["assigned-word"] = with("/assigned_at", "soon");
  const int refused = server_->Count("refuse");
  // In a row, with one good poll between so that the pause after a failure does not grow.
  for (const auto& [name, answer] : wrong) {
    server_->Attack("poll", Says(200, answer.dump()));
    ASSERT_TRUE(Eventually(20, [&] { return server_->AttacksLeft("poll") == 0; })) << name;
    const int polls = server_->Count("poll");
    ASSERT_TRUE(Eventually(20, [&] { return server_->Count("poll") > polls; })) << name;
  }
  RunGoodUnit("after-wrong-members");
  EXPECT_FALSE(server_->Results().contains("never-run"));
  EXPECT_EQ(server_->Count("refuse"), refused) << "something was sent for an unusable assignment";
  ExpectWell();
}

TEST_F(Hostile, AHundredMegabytes) {
  std::atomic<size_t> sent = 0;
  const std::string piece(1 << 20, ' ');
  const auto flood = [&](const std::string& head, bool chunked) {
    return [&, head, chunked](const Request&, Line& line) {
      sent = 0;
      if (!line.Send(head)) return;
      for (int i = 0; i < 100; ++i) {
        if (!line.Send(chunked ? "100000\r\n" + piece + "\r\n" : piece)) return;
        sent += piece.size();
      }
    };
  };
  for (const auto& [name, head, chunked] :
       {std::tuple{"announced", "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n", false},
        std::tuple{"endless", "HTTP/1.1 200 OK\r\n\r\n", false},
        std::tuple{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true},
        std::tuple{"error", "HTTP/1.1 500 No\r\nContent-Length: 104857600\r\n\r\n", false}}) {
    Survives(std::string("flood-") + name, "poll", flood(head, chunked));
    EXPECT_LT(sent, size_t{16} << 20) << name << ": it was read on and on";
  }
}

TEST_F(Hostile, GzipBombs) {
  static const std::string bomb = GzipOfZeros(size_t{1} << 30);
  ASSERT_LT(bomb.size(), size_t{4} << 20);
  Survives("bomb-poll", "poll", Says(200, bomb, "Content-Encoding: gzip\r\n"));
  Survives("bomb-heartbeat", "heartbeat", Says(200, bomb, "Content-Encoding: gzip\r\n"));
  Survives("bomb-error", "poll", Says(500, bomb, "Content-Encoding: gzip\r\n"));
}

TEST_F(Hostile, NeverEndingHeaders) {
  std::atomic<size_t> sent = 0;
  Survives("headers-many", "poll", [&](const Request&, Line& line) {
    line.Send("HTTP/1.1 200 OK\r\n");
    const std::string header = "X-Filler: " + std::string(1000, 'x') + "\r\n";
    for (sent = 0; sent < (size_t{64} << 20) && line.Send(header);) sent += header.size();
  });
  EXPECT_LT(sent, size_t{8} << 20);
  Survives("headers-long", "poll", [&](const Request&, Line& line) {
    line.Send("HTTP/1.1 200 OK\r\nX-Filler: ");
    const std::string part(1 << 16, 'x');
    for (sent = 0; sent < (size_t{64} << 20) && line.Send(part);) sent += part.size();
  });
  EXPECT_LT(sent, size_t{8} << 20);
  Survives("informational", "poll", [&](const Request&, Line& line) {
    for (sent = 0; sent < 1'000'000 && line.Send("HTTP/1.1 100 Continue\r\n\r\n");) ++sent;
  });
}

// A poll that drips keeps neither heartbeats nor the owner waiting. (Its own time limit is longer
// than this test.)
TEST_F(Hostile, ASlowDripHoldsUpNothingElse) {
  std::atomic<bool> dripping = false, release = false;
  server_->Attack("poll", [&](const Request&, Line& line) {
    dripping = true;
    line.Send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (!release && line.Send(" ") && line.Pause(50)) {
    }
    dripping = false;
  });
  ASSERT_TRUE(Eventually(20, [&] { return dripping.load(); }));
  const int beats = server_->Count("heartbeat");
  EXPECT_TRUE(Eventually(20, [&] { return server_->Count("heartbeat") >= beats + 10; }))
      << "heartbeats wait for the poll";
  EXPECT_NE(worker_->VerbJson({"status"}), nullptr);
  release = true;
  RunGoodUnit("after-drip");
  ExpectWell();
}

TEST_F(Hostile, DuplicateAssignmentsAreRunOnce) {
  server_->Offer("twice", {{"n", 1}}, 6);
  ASSERT_TRUE(Eventually(20, [&] { return server_->Results().contains("twice"); }));
  RunGoodUnit("after-duplicates-1");
  // Once more after its result is in: the coordinator forgot.
  server_->Offer("twice", {{"n", 1}}, 2);
  RunGoodUnit("after-duplicates-2");
  EXPECT_THAT(server_->Results()["twice"], SizeIs(1)) << "submitted twice";
  ExpectWell();
}

TEST_F(Hostile, APayloadOfStrangeShapeIsEchoedOrRefusedNeverFatal) {
  Json deep = Json::object();
  for (int i = 0; i < 90; ++i) deep = Json{{"d", deep}};
  server_->Offer("strange-deep", deep);
  server_->Offer("strange-numbers",
                 {{"a", 1e308}, {"b", -0.0}, {"c", 5e-324}, {"d", 18446744073709551615ull}});
  server_->Offer("strange-names",
                 {{"\u202e\u0007", "\x1b]0;title\x07"}, {"", ""}, {"__proto__", 1}});
  server_->Offer("strange-large", {{"text", std::string(900'000, 'x')}});
  for (const char* unit : {"strange-deep", "strange-numbers", "strange-names", "strange-large"}) {
    EXPECT_TRUE(Eventually(
        20,
        [&] { return server_->Results().contains(unit) || server_->Refusals().contains(unit); }))
        << unit << worker_->Verb({"queue"}).out << worker_->Verb({"peek", unit}).out;
  }
  RunGoodUnit("after-strange");
  ExpectWell();
}

// What the coordinator says reaches the owner's terminal only as harmless text.
TEST_F(Hostile, TerminalEscapesStayOutside) {
  const std::string evil = "\\u001b]0;owned\\u0007\\u001b[2J\\u202e\\r\\nfake line";
  server_->Attack(
      "heartbeat",
      Says(200,
           R"({"worker_id":"wkr-AAAAAAAAAAAA","trust_tier":0,"latest_release":{"version":"99.0)" +
               evil + R"(","headline":")" + evil + R"(","release_url":"javascript:alert"
}
})"));
  server_->Attack(
      "poll",
      Says(423, R"({"detail":{"error":{"code":"worker_paused","message":")" + evil +
                    R"(","details":{"paused_at":"2026-01-01T00:00:00Z","pause_reason":"look )" +
                    evil + R"(","no_fault":true}}}})"));
  ASSERT_TRUE(Eventually(20, [&] {
    return server_->AttacksLeft("poll") == 0 && server_->AttacksLeft("heartbeat") == 0;
  }));
  const std::string unit = "escapes";
  server_->Offer(unit, {{"x", "\x1b[31m"}});
  EXPECT_TRUE(Eventually(20, [&] { return server_->Results().contains(unit); }));
  for (const std::vector<std::string>& words : {std::vector<std::string>{"status"},
                                                {"log"},
                                                {"queue"},
                                                {"receipts", "list"},
                                                {"receipts", "show", unit},
                                                {"audit", "show"},
                                                {"peek", unit}}) {
    const Finished shown = worker_->Verb(words);
    for (const char* octets : {"\x1b", "\x07", "\u202e", "\r"}) {
      EXPECT_THAT(shown.out + shown.err, Not(HasSubstr(octets))) << words[0];
    }
  }
  EXPECT_THAT(ReadText(worker_->log()), Not(HasSubstr("\x1b"))) << "the log";
  RunGoodUnit("after-escapes");
  ExpectWell();
}

// An enrolment that is answered with rubbish enrols nothing and can be tried again.
TEST(HostileEnrolment, RubbishEnrolsNothing) {
  TempFolder folder;
  HostileCoordinator server;
  Worker worker(folder / "w", {.url = server.url()});
  for (
      const auto& [name, body] :
      {std::pair{"html", "<html>"},
       std::pair{"dots",
                 R"({"worker_id":"../x","trust_tier":0,"registered_at":"2026-01-01T00:00:00Z"})"},
       std::pair{
           "tier",
           R"({"worker_id":"wkr-AAAAAAAAAAAA","trust_tier":"0","registered_at":"2026-01-01T00:00:00Z"})"},
       std::pair{"time",
                 R"({"worker_id":"wkr-AAAAAAAAAAAA","trust_tier":0,"registered_at":"never"})"}}) {
    server.Attack("enroll", Says(201, body));
    EXPECT_EQ(worker.Verb({"bootstrap"}).code, 1) << name;
    EXPECT_EQ(worker.VerbJson({"status"})["enrolled"], false) << name;
  }
  server.Attack("enroll",
                Says(409, R"({"detail":{"error":{"code":"pubkey_retired","message":"gone"}}})"));
  EXPECT_EQ(worker.Verb({"bootstrap"}).code, 2);
  EXPECT_EQ(worker.Verb({"bootstrap"}).code, 0);
  EXPECT_EQ(worker.VerbJson({"status"})["enrolled"], true);
  EXPECT_THAT(server.Unexpected(), IsEmpty());
}

}  // namespace
}  // namespace auspex::e2e
