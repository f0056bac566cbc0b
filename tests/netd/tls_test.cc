// SPDX-License-Identifier: AGPL-3.0-only
// A worker and a coordinator over TLS, all of them the real programs: with the coordinator's
// certificate named as [coordinator] ca_file the worker enrols, beats, holds its polls open, works
// and gets its receipts; without it, or under a name that the certificate does not carry, nothing
// is sent.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>

#include "common/http/http_client.h"
#include "tests/support/certificate.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace auspex::testing {
namespace {

using Json = nlohmann::json;
constexpr auto kPatience = std::chrono::seconds(30);

class TlsTest : public ::testing::Test {
 protected:
  // The coordinator's certificate is for `name`; it listens on 127.0.0.1.
  void Serve(const std::string& name) {
    MakeCertificate("DNS:" + name, folder_ / "cert.pem", folder_ / "key.pem");
    coordinator_ = std::make_unique<Process>(
        std::vector<std::string>{ProgramPath("auspex-coordd"), "--state", folder_ / "c", "--listen",
                                 "127.0.0.1:0", "--port-file", folder_ / "port", "--tls-cert",
                                 folder_ / "cert.pem", "--tls-key", folder_ / "key.pem"},
        folder_ / "coordd.log");
    port_ = WaitForLine(folder_ / "port", *coordinator_);
    ASSERT_FALSE(port_.empty()) << ReadAll(folder_ / "coordd.log");
  }

  void Configure(const std::string& host, bool with_ca) {
    std::ofstream file(folder_ / "w/worker.toml");
    file << "[coordinator]\nurl = \"https://" << host << ":" << port_ << "\"\n"
         << "heartbeat_interval_seconds = 0.2\nlong_poll_seconds = 20\n";
    if (with_ca)
      file << "ca_file = \"" << folder_ / "cert.pem"
           << "\"\n";
  }

  std::optional<int> Auspex(std::vector<std::string> arguments, const std::string& log) {
    std::vector<std::string> argv = {ProgramPath("auspex"), "--home", folder_ / "w"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    Process process(argv, folder_ / log);
    return process.Wait(kPatience);
  }

  // A call of the maintainer's over TLS; null when it did not work.
  Json Maintainer(const std::string& method, const std::string& path, const Json& body = nullptr) {
    const Json tokens = Json::parse(ReadAll(folder_ / "c/tokens.json"), nullptr, false);
    const auto answer = http_->Call(
        {.method = method,
         .base = *BaseUrl::Parse("https://localhost:" + port_),
         .target = path,
         .headers = {{"Authorization", "Bearer " + tokens["tokens"][0]["token"].get<std::string>()},
                     {"Content-Type", "application/json"}},
         .body = body.is_null() ? "" : body.dump()});
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? Json::parse(answer->body, nullptr, false) : Json();
  }

  void SetUp() override { std::filesystem::create_directory(folder_ / "w"); }

  TempDir folder_;
  std::string port_;
  std::unique_ptr<Process> coordinator_;
  std::unique_ptr<HttpClient> http_;
};

TEST_F(TlsTest, AWorkerEnrolsBeatsAndWorksOverTls) {
  ASSERT_NO_FATAL_FAILURE(Serve("localhost"));
  http_ = std::make_unique<HttpClient>(HttpClient::Options{.ca_file = folder_ / "cert.pem"});
  Configure("localhost", /*with_ca=*/true);
  ASSERT_EQ(Auspex({"bootstrap"}, "bootstrap.log"), 0) << ReadAll(folder_ / "bootstrap.log");
  Process daemon({ProgramPath("auspex"), "--home", folder_ / "w", "daemon"},
                 folder_ / "daemon.log");

  // Several heartbeats, told by the time of the last one moving on.
  std::string first, last;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  const auto in_time = [&] { return std::chrono::steady_clock::now() < deadline; };
  while (in_time() && (first.empty() || last == first)) {
    const Json workers = Maintainer("GET", "/api/v0/workers")["workers"];
    ASSERT_EQ(workers.size(), 1u);
    last = workers[0].value("last_heartbeat_at", "");
    if (first.empty()) first = last;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ASSERT_NE(first, last) << ReadAll(folder_ / "daemon.log");

  // The poll that is held open is answered when work comes, and connections are reused under it.
  Json units = Json::array();
  for (int i = 0; i < 5; ++i) {
    units.push_back({{"unit_id", "u-" + std::to_string(i)}, {"payload", {{"n", i}}}});
  }
  const Json submitted = Maintainer(
      "POST", "/api/v0/lab/experiments",
      {{"manifest",
        {{"tenant_id", "lab"}, {"experiment_id", "tls"}, {"executor", {{"command", {"x"}}}}}},
       {"units", units},
       {"replication_target", 1},
       {"sandbox_level", "permissive"}});
  const std::string experiment = submitted.value("experiment_id", "");
  ASSERT_FALSE(experiment.empty()) << submitted;
  size_t receipts = 0;
  while (in_time() && receipts < 5) {
    receipts = 0;
    const Json results = Maintainer("GET", "/api/v0/lab/experiments/" + experiment + "/results");
    for (const Json& unit : results["units"]) {
      if (unit["results"].size() == 1 && unit["results"][0]["receipt_id"].is_string()) ++receipts;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(receipts, 5u) << ReadAll(folder_ / "daemon.log");
  EXPECT_EQ(daemon.Stop(kPatience), 0);
  EXPECT_EQ(coordinator_->Stop(kPatience), 0);
}

TEST_F(TlsTest, AnAuthorityThatNobodyVouchedForGetsNothing) {
  ASSERT_NO_FATAL_FAILURE(Serve("localhost"));
  Configure("localhost", /*with_ca=*/false);
  EXPECT_EQ(Auspex({"bootstrap"}, "bootstrap.log"), 1) << ReadAll(folder_ / "bootstrap.log");
  EXPECT_EQ(ReadAll(folder_ / "coordd.log").find("worker_enrolled"), std::string::npos);
}

TEST_F(TlsTest, ACertificateForAnotherNameGetsNothing) {
  ASSERT_NO_FATAL_FAILURE(Serve("coordinator.example"));
  Configure("localhost", /*with_ca=*/true);
  EXPECT_EQ(Auspex({"bootstrap"}, "bootstrap.log"), 1) << ReadAll(folder_ / "bootstrap.log");
  EXPECT_EQ(ReadAll(folder_ / "coordd.log").find("worker_enrolled"), std::string::npos);
}

}  // namespace
}  // namespace auspex::testing
