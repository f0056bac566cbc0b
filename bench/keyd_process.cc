// SPDX-License-Identifier: AGPL-3.0-only
#include "bench/keyd_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "auspex/keyd/v1/keyd.grpc.pb.h"
#include "common/files/files.h"
#include "common/ipc/channel.h"

namespace auspex::bench {
namespace {

namespace v1 = keyd::v1;
using Clock = std::chrono::steady_clock;

void WriteConfiguration(const std::string& home) {
  std::ofstream file(home + "/worker.toml");
  file << "[keyd.rates]\n";
  for (const char* intent :
       {"heartbeat", "poll", "sign_result", "submit_result", "fetch_receipt"}) {
    file << intent << " = { per_second = 1000000, burst = 1000000 }\n";
  }
}

void Enrol(const std::string& socket) {
  const auto stub = v1::KeyOwner::NewStub(ConnectTo(socket));
  grpc::ClientContext create, pin;
  create.set_wait_for_ready(true);
  SetDeadline(create, 20);
  SetDeadline(pin, 20);
  v1::KeyIdentity identity;
  if (const auto status = stub->CreateKey(&create, {}, &identity); !status.ok())
    Fail("keyd made no key: " + status.error_message());
  v1::SetEnrolmentRequest enrolment;
  enrolment.set_base_url("http://127.0.0.1:1");
  enrolment.set_worker_id("wkr-bench0000000");
  v1::SetEnrolmentResponse done;
  if (const auto status = stub->SetEnrolment(&pin, enrolment, &done); !status.ok())
    Fail("keyd took no enrolment: " + status.error_message());
}

}  // namespace

void Fail(const std::string& what) {
  std::fprintf(stderr, "bench: %s\n", what.c_str());
  std::exit(1);
}

KeydProcess::KeydProcess(const std::string& bin, const std::string& home, bool fresh)
    : home_(home) {
  if (fresh) WriteConfiguration(home);
  int ready[2];
  if (::pipe2(ready, 0) != 0) Fail("no pipe");
  ::fcntl(ready[0], F_SETFD, FD_CLOEXEC);
  // Made before the fork: after it only calls that are safe with threads of gRPC's about.
  const std::string program = bin + "/auspex-keyd", descriptor = std::to_string(ready[1]);
  ::setenv("AUSPEX_READY_FD", descriptor.c_str(), 1);
  const int log =
      ::open((home + "/keyd.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const auto start = Clock::now();
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(log, 2);
    ::execl(program.c_str(), "auspex-keyd", "--home", home.c_str(), nullptr);
    ::_exit(127);
  }
  ::unsetenv("AUSPEX_READY_FD");
  ::close(log);
  ::close(ready[1]);
  char octet = 0;
  if (::read(ready[0], &octet, 1) != 1) Fail("keyd did not start, see " + home + "/keyd.log");
  start_ms_ = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  ::close(ready[0]);
  if (fresh) Enrol(socket("owner"));
}

KeydProcess::~KeydProcess() { Stop(SIGTERM); }

void KeydProcess::Stop(int signal) {
  if (pid_ < 0) return;
  ::kill(pid_, signal);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::string KeydProcess::socket(const std::string& role) const {
  return home_ + "/run/keyd/" + role + ".sock";
}

namespace {

long NumberAfter(const std::string& path, const std::string& word) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(word, 0) == 0) return std::atol(line.c_str() + word.size());
  }
  Fail(path + " has no " + word);
}

}  // namespace

long KeydProcess::pss_kib() const {
  return NumberAfter("/proc/" + std::to_string(pid_) + "/smaps_rollup", "Pss:");
}

int KeydProcess::threads() const {
  return static_cast<int>(NumberAfter("/proc/" + std::to_string(pid_) + "/status", "Threads:"));
}

}  // namespace auspex::bench
