// SPDX-License-Identifier: AGPL-3.0-only
// The HTTP side: error shapes, caps, slow clients, kill and restart, listen rules. Against the real
// program.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/coordd/rig.h"

namespace auspex::coordd {
namespace {

using auspex::testing::HttpCall;
using auspex::testing::Process;
using auspex::testing::ProgramPath;
using auspex::testing::ReadAll;
using auspex::testing::TempDir;

constexpr size_t kCap = 2'097'152;

TEST(ShapeTest, FiveShapesAndFixedHeaders) {
  CoordinatorRig rig;
  EXPECT_EQ(rig.Plain("GET", "/api/v0/none").json, Json({{"detail", "Not Found"}}));
  EXPECT_EQ(rig.Plain("GET", "/elsewhere").status, 404);
  const Answer method = rig.Plain("DELETE", "/api/v0/health");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.json, Json({{"detail", "Method Not Allowed"}}));
  const Answer health = rig.Plain("GET", "/api/v0/health/public");
  EXPECT_EQ(health.json["status"], "ok");
  EXPECT_EQ(health.headers.at("x-content-type-options"), "nosniff");
  EXPECT_EQ(health.headers.at("x-frame-options"), "DENY");
  EXPECT_EQ(health.headers.at("referrer-policy"), "no-referrer");
  EXPECT_EQ(health.headers.at("strict-transport-security"), "max-age=31536000; includeSubDomains");
  EXPECT_EQ(rig.Plain("GET", "/api/v0/auth/whoami").json["credential_class"], "anonymous");
}

TEST(ShapeTest, NotJsonBeatsTheSignatureAndTheSignatureBeatsTheShape) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  const HeaderList unsigned_headers = {{"Content-Type", "application/json"},
                                       {"Signature-Input", "x"}};
  const Answer broken =
      Parse(HttpCall(rig.port(), "POST", worker.Path("/heartbeat"), unsigned_headers, "{\"a\":"));
  EXPECT_EQ(broken.status, 422);
  EXPECT_EQ(broken.json["detail"][0]["type"], "json_invalid");
  EXPECT_EQ(
      Parse(HttpCall(rig.port(), "POST", worker.Path("/heartbeat"), unsigned_headers, "[]")).status,
      401);
  EXPECT_EQ(worker.Post("/heartbeat", Json::array()).status, 422);
  // Another content type counts as a wrong shape.
  HeaderList headers =
      worker.key().Request("POST", worker.Path("/heartbeat"), rig.authority(), "{}");
  headers[0].second = "text/plain";
  const Answer text = Parse(HttpCall(rig.port(), "POST", worker.Path("/heartbeat"), headers, "{}"));
  EXPECT_EQ(text.status, 422);
  EXPECT_EQ(text.json["detail"][0]["loc"], Json({"body"}));
}

TEST(CapTest, BodyOverTheCapIs413HoweverItComes) {
  CoordinatorRig rig;
  const Json shape = {{"error", "payload_too_large"}, {"max_bytes", kCap}};
  const Answer declared =
      Parse(HttpCall(rig.port(), "POST", "/api/v0/workers/enroll", {}, std::string(kCap + 1, ' ')));
  EXPECT_EQ(declared.status, 413);
  EXPECT_EQ(declared.json, shape);
  // The cap goes by octets read, so a chunked body does not escape it.
  HttpConnection chunked(rig.port());
  ASSERT_TRUE(chunked.Send(
      "POST /api/v0/workers/enroll HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
  const std::string chunk = "40000\r\n" + std::string(0x40000, ' ') + "\r\n";
  for (int i = 0; i < 9; ++i) {
    if (!chunked.Send(chunk)) break;
  }
  const Answer counted = Parse(chunked.Receive());
  EXPECT_EQ(counted.status, 413);
  EXPECT_EQ(counted.json, shape);
  EXPECT_EQ(Parse(HttpCall(rig.port(), "POST", "/api/v0/workers/enroll",
                           {{"Content-Type", "application/json"}}, std::string(kCap, ' ')))
                .status,
            422);
  // Only who may submit gets the large caps.
  EXPECT_EQ(HttpCall(rig.port(), "POST", "/api/v0/lab/experiments", {}, std::string(kCap + 1, ' '))
                .status,
            413);
  EXPECT_EQ(HttpCall(rig.port(), "POST", "/api/v0/packages", {}, std::string(kCap + 1, ' ')).status,
            413);
  EXPECT_EQ(
      HttpCall(rig.port(), "POST", "/api/v0/lab/experiments",
               {{"Authorization", "Bearer " + rig.token()}, {"Content-Type", "application/json"}},
               std::string(kCap + 1, ' '))
          .status,
      422);
}

TEST(CapTest, HeaderOverTheCapIsRefused) {
  CoordinatorRig rig;
  EXPECT_EQ(
      HttpCall(rig.port(), "GET", "/api/v0/health", {{"X-Long", std::string(20'000, 'x')}}).status,
      431);
  HttpConnection garbage(rig.port());
  ASSERT_TRUE(garbage.Send("\x16\x03\x01 this is no HTTP\r\n\r\n"));
  const auto answer = garbage.ReceiveUntilClosed();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(rig.Plain("GET", "/api/v0/health").status, 200);
}

TEST(SlowClientTest, IsCutOff) {
  CoordinatorRig rig({"--client-seconds", "1"});
  HttpConnection header(rig.port()), body(rig.port());
  ASSERT_TRUE(header.Send("GET /api/v0/health HTTP/1.1\r\nHos"));
  ASSERT_TRUE(
      body.Send("POST /api/v0/workers/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"));
  EXPECT_EQ(header.ReceiveUntilClosed(), "");
  EXPECT_EQ(body.ReceiveUntilClosed(), "");
  EXPECT_EQ(rig.Plain("GET", "/api/v0/health").status, 200);
}

TEST(KeepAliveTest, ManyRequestsOnOneConnection) {
  CoordinatorRig rig;
  HttpConnection connection(rig.port());
  for (int i = 0; i < 50; ++i) EXPECT_EQ(connection.Call("GET", "/api/v0/health").status, 200);
  EXPECT_EQ(connection.Call("GET", "/api/v0/health", {{"Connection", "close"}}).status, 200);
  EXPECT_TRUE(connection.ReceiveUntilClosed().has_value());
}

TEST(DurabilityTest, StateIsItsOwnersAlone) {
  CoordinatorRig rig;
  // A store that an older program left readable is closed at the next start.
  const std::string store = rig.state() + "/coordinator.sqlite";
  ASSERT_EQ(::chmod(store.c_str(), 0644), 0);
  rig.KillAndRestart();
  LabWorker worker(rig, 1);  // a write, so that the log is there
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(rig.state())) {
    struct stat info {};
    ASSERT_EQ(::stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 077, 0u) << entry.path();
    seen += entry.path().string().starts_with(store) ? 1 : 0;
  }
  EXPECT_EQ(seen, 3);  // the store, its log, its shared memory
}

TEST(DurabilityTest, KillLosesNothingThatWasAnswered) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  const std::string experiment = rig.Submit("exp-one", 30, 1);
  std::vector<std::string> results;
  for (int i = 0; i < 30; ++i) {
    if (i % 10 == 5) {
      const Answer poll = worker.Get("/assignments");
      rig.KillAndRestart();
      const Answer accepted = worker.Submit(worker.ResultFor(poll.json));
      ASSERT_EQ(accepted.status, 201) << accepted.body;
      rig.KillAndRestart();
      const Answer repeat = worker.Submit(worker.ResultFor(poll.json));
      EXPECT_EQ(repeat.details()["existing_result_id"], accepted.json["result_id"]);
      results.push_back(accepted.json["result_id"]);
    } else {
      const Answer accepted = worker.DoOne();
      ASSERT_EQ(accepted.status, 201) << accepted.body;
      results.push_back(accepted.json["result_id"]);
    }
  }
  rig.KillAndRestart();
  for (const std::string& result : results) {
    EXPECT_EQ(worker.Get("/results/" + result + "/canonical-receipt").status, 200);
  }
  EXPECT_EQ(rig.Progress(experiment)["units"]["completed"], 30);
  EXPECT_EQ(rig.process().Stop(), 0);
}

TEST(StopTest, EndsCleanlyUnderOpenConnectionsAndHeldPolls) {
  CoordinatorRig rig;
  LabWorker worker(rig, 1);
  HttpConnection idle(rig.port()), held(rig.port());
  EXPECT_EQ(idle.Call("GET", "/api/v0/health").status, 200);
  std::string text =
      "GET " + worker.Path("/assignments") + " HTTP/1.1\r\nHost: " + rig.authority() + "\r\n";
  for (const auto& [name, value] :
       worker.key().Request("GET", worker.Path("/assignments"), rig.authority())) {
    text += name + ": " + value + "\r\n";
  }
  ASSERT_TRUE(held.Send(text + "Prefer: wait=60\r\n\r\n"));
  EXPECT_EQ(rig.Plain("GET", "/api/v0/health").status, 200);
  EXPECT_EQ(rig.process().Stop(), 0);
  EXPECT_EQ(held.ReceiveUntilClosed(), "");
}

// Starts the program with `flags`; its exit status and log.
std::pair<std::optional<int>, std::string> RunToEnd(const std::vector<std::string>& flags) {
  TempDir dir;
  std::vector<std::string> argv = {ProgramPath("auspex-coordd"), "--state", dir / "state"};
  argv.insert(argv.end(), flags.begin(), flags.end());
  Process process(argv, dir / "log");
  const auto status = process.Wait(std::chrono::seconds(10));
  return {status, ReadAll(dir / "log")};
}

TEST(ListenTest, RefusesToBeReachableByAccident) {
  const auto [status, log] = RunToEnd({"--listen", "0.0.0.0:0"});
  EXPECT_EQ(status, 1);
  EXPECT_NE(log.find("--allow-remote"), std::string::npos) << log;
  const auto [plain, plain_log] = RunToEnd({"--listen", "0.0.0.0:0", "--allow-remote"});
  EXPECT_EQ(plain, 1);
  EXPECT_NE(plain_log.find("plain http"), std::string::npos) << plain_log;
  EXPECT_EQ(RunToEnd({"--listen", "127.0.0.1:0", "--tls-cert", "/nowhere.pem"}).first, 1);
  EXPECT_EQ(
      RunToEnd({"--listen", "127.0.0.1:0", "--tls-cert", "/nowhere.pem", "--tls-key", "/nowhere"})
          .first,
      1);
  EXPECT_EQ(RunToEnd({"--listen", "localhost:0"}).first, 1);
  EXPECT_EQ(RunToEnd({"--listen", "127.0.0.1:99999"}).first, 1);
}

TEST(StateTest, OneCoordinatorPerStateAndPrivateFiles) {
  TempDir dir;
  const std::vector<std::string> argv = {ProgramPath("auspex-coordd"),
                                         "--state",
                                         dir / "state",
                                         "--listen",
                                         "127.0.0.1:0",
                                         "--port-file",
                                         dir / "port"};
  Process first(argv, dir / "log");
  ASSERT_NE(auspex::testing::WaitForLine(dir / "port", first), "");
  Process second(argv, dir / "log2");
  EXPECT_EQ(second.Wait(std::chrono::seconds(10)), 1) << ReadAll(dir / "log2");
  namespace fs = std::filesystem;
  EXPECT_EQ(fs::status(dir / "state").permissions(), fs::perms::owner_all);
  for (const char* name : {"tokens.json", "signing_key.pem"}) {
    EXPECT_EQ(fs::status(dir / ("state/" + std::string(name))).permissions(),
              fs::perms::owner_read | fs::perms::owner_write)
        << name;
  }
  EXPECT_EQ(first.Stop(), 0);
}

}  // namespace
}  // namespace auspex::coordd
