// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/netd/netd_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "common/base/cat.h"
#include "common/ipc/channel.h"

namespace auspex::testing {
namespace {

std::string MakeHome() {
  std::string path = "/tmp/auspex-netd-XXXXXX";
  EXPECT_NE(::mkdtemp(path.data()), nullptr);
  for (const char* folder : {"/run", "/run/keyd", "/run/stated", "/run/netd"})
    ::mkdir((path + folder).c_str(), 0700);
  return path;
}

}  // namespace

NetdProcess::NetdProcess(const std::string& home, const std::vector<std::string>& arguments)
    : log_file_(home + "/netd.log") {
  const char* bin = std::getenv("AUSPEX_BIN_DIR");
  const std::string program = Cat(bin != nullptr ? bin : "build/release/bin", "/auspex-netd");
  std::vector<std::string> words = {program, "--home", home};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int log = ::open(log_file_.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(log, 2);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(log);
}

NetdProcess::~NetdProcess() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

int NetdProcess::Stop() {
  ::kill(pid_, SIGTERM);
  return Wait();
}

int NetdProcess::Wait() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  int status = 0;
  while (::waitpid(pid_, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, &status, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string NetdProcess::Log() const {
  std::ostringstream out;
  out << std::ifstream(log_file_).rdbuf();
  return out.str();
}

NetdLab::NetdLab(Handler handler, const std::string& prefix)
    : home(MakeHome()),
      server([handler = std::move(handler)](const MockRequest& request, MockWire& wire) {
        handler(request, wire);
      }) {
  stated = std::make_unique<FakeStated>(home + "/run/stated/net.sock");
  keyd = std::make_unique<FakeKeyd>(home + "/run/keyd/request.sock", server.url() + prefix);
  Configure(Cat("[coordinator]\nurl = \"", server.url(), prefix,
                "\"\nheartbeat_interval_seconds = 0.05\nassignment_poll_interval_seconds = "
                "0.05\nlong_poll_seconds = 0\n"));
}

NetdLab::~NetdLab() {
  if (::testing::Test::HasFailure() && netd != nullptr)
    std::fprintf(stderr, "---- netd's log ----\n%s----\n", netd->Log().c_str());
  netd.reset();
  std::filesystem::remove_all(home);
}

void NetdLab::Configure(const std::string& toml) { std::ofstream(home + "/worker.toml") << toml; }

NetdProcess& NetdLab::Start(std::vector<std::string> arguments) {
  netd = std::make_unique<NetdProcess>(home, arguments);
  return *netd;
}

std::unique_ptr<netd::v1::Connection::Stub> NetdLab::Owner() const {
  return netd::v1::Connection::NewStub(ConnectTo(home + "/run/netd/owner.sock"));
}

NetdLab::Handler Polls(std::function<void(int n, const MockRequest&, MockWire&)> poll) {
  auto count = std::make_shared<std::atomic<int>>(0);
  return [poll = std::move(poll), count](const MockRequest& request, MockWire& wire) {
    if (request.target.ends_with(kBeat)) return ReplyHeartbeat(wire);
    poll(++*count, request, wire);
  };
}

void ReplyHeartbeat(MockWire& wire) {
  wire.Reply(200, R"({"worker_id":"wkr-test","trust_tier":1})");
}

void ReplyNoWork(MockWire& wire) {
  wire.Reply(
      200,
      R"({"assignment_id":null,"assigned_at":null,"experiment_id":null,"work_unit":null,"idle_reason":{"code":"no_pending_work","message":"m"}})");
}

void ReplyUnit(MockWire& wire, const std::string& assignment, const std::string& unit,
               const std::string& payload) {
  wire.Reply(
      200,
      Cat(R"({"assignment_id":")", assignment,
          R"(","assigned_at":"2026-07-19T12:00:00Z","experiment_id":"exp-1","work_unit":{"unit_id":")",
          unit,
          R"(","tenant_id":"synth-geometry","experiment_id":"synth-geometry-v1","manifest_sha256":")",
          std::string(64, 'b'), R"(","created_at":"2026-07-19T11:50:00Z","payload":)", payload,
          "}}"));
}

void ReplyError(MockWire& wire, int status, const std::string& code, const std::string& details) {
  wire.Reply(status, Cat(R"({"detail":{"error":{"code":")", code, R"(","message":"m","details":)",
                         details, "}}}"));
}

}  // namespace auspex::testing
