// SPDX-License-Identifier: AGPL-3.0-only
// Latency and rate of keyd's journalled signatures beside OpenSSH's agent, which keeps no journal, and beside the bare curve
// operation. Both ends are pinned to one core for latency, variants are interleaved, figures are medians of the rounds. Prints
// one JSON object. Usage: bench_sign --bin DIR
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "auspex/keyd/v1/keyd.grpc.pb.h"
#include "bench/ssh_agent.h"
#include "common/files/files.h"
#include "common/ipc/channel.h"

namespace auspex::bench {
namespace {

using Clock = std::chrono::steady_clock;
namespace v1 = keyd::v1;

constexpr int kRounds = 7;
constexpr int kCallsPerRound = 400;
constexpr int kInFlight = 64;
constexpr double kRateSeconds = 2.0;

void PinToFirstCore(bool pinned) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  for (int i = 0; i < (pinned ? 1 : CPU_SETSIZE); ++i) CPU_SET(i, &cores);
  ::sched_setaffinity(0, sizeof cores, &cores);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Microseconds: the median of `kCallsPerRound` calls.
template <typename Call>
double MedianCall(Call call) {
  std::vector<double> micros;
  for (int i = 0; i < kCallsPerRound; ++i) {
    const auto start = Clock::now();
    call();
    micros.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  return Median(std::move(micros));
}

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "bench_sign: %s\n", what.c_str());
  std::exit(1);
}

struct Keyd {
  explicit Keyd(const std::string& bin, const std::string& home) {
    pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      [[maybe_unused]] FILE* log = std::freopen((home + "/keyd.log").c_str(), "w", stderr);
      ::execl((bin + "/auspex-keyd").c_str(), "auspex-keyd", "--home", home.c_str(), nullptr);
      ::_exit(127);
    }
    const std::string run = home + "/run/keyd/";
    owner = v1::KeyOwner::NewStub(ConnectTo(run + "owner.sock"));
    request = v1::RequestSigner::NewStub(ConnectTo(run + "request.sock"));
    request_socket = run + "request.sock";
    grpc::ClientContext create, pin;
    create.set_wait_for_ready(true);
    SetDeadline(create, 10);
    v1::KeyIdentity identity;
    if (const auto status = owner->CreateKey(&create, {}, &identity); !status.ok())
      Fail(status.error_message());
    v1::SetEnrolmentRequest enrolment;
    enrolment.set_base_url("http://127.0.0.1:1");
    enrolment.set_worker_id("wkr-bench0000000");
    v1::SetEnrolmentResponse done;
    if (const auto status = owner->SetEnrolment(&pin, enrolment, &done); !status.ok())
      Fail(status.error_message());
  }
  ~Keyd() {
    ::kill(pid, SIGTERM);
    ::waitpid(pid, nullptr, 0);
  }
  pid_t pid;
  std::unique_ptr<v1::KeyOwner::Stub> owner;
  std::unique_ptr<v1::RequestSigner::Stub> request;
  std::string request_socket;
};

bool SignOnce(v1::RequestSigner::Stub& stub) {
  grpc::ClientContext context;
  v1::SignRequestRequest request;
  request.mutable_poll();
  v1::SignedRequest answer;
  return stub.SignRequest(&context, request, &answer).ok();
}

// Signatures a second with kInFlight asynchronous calls under way on one connection.
double Rate(Keyd& keyd) {
  struct Call {
    grpc::ClientContext context;
    v1::SignedRequest answer;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<v1::SignedRequest>> reader;
  };
  auto stub = v1::RequestSigner::NewStub(ConnectTo(keyd.request_socket));
  grpc::CompletionQueue queue;
  v1::SignRequestRequest request;
  request.mutable_poll();
  const auto launch = [&] {
    auto* call = new Call;
    call->reader = stub->AsyncSignRequest(&call->context, request, &queue);
    call->reader->Finish(&call->answer, &call->status, call);
  };
  for (int i = 0; i < kInFlight; ++i) launch();
  const auto start = Clock::now();
  uint64_t done = 0;
  int under_way = kInFlight;
  void* tag = nullptr;
  bool ok = false;
  while (under_way > 0 && queue.Next(&tag, &ok)) {
    auto* call = static_cast<Call*>(tag);
    if (!call->status.ok()) Fail("a signature was refused: " + call->status.error_message());
    delete call;
    --under_way;
    if (std::chrono::duration<double>(Clock::now() - start).count() < kRateSeconds) {
      ++done;
      launch();
      ++under_way;
    }
  }
  return static_cast<double>(done) / kRateSeconds;
}

int Main(int argc, char** argv) {
  if (argc != 3 || std::strcmp(argv[1], "--bin") != 0) Fail("usage: bench_sign --bin DIR");
  if (sodium_init() < 0) Fail("libsodium does not start");
  char name[] = "/tmp/auspex-bench-XXXXXX";
  const std::string folder = ::mkdtemp(name);
  // Children inherit the core they are pinned to.
  PinToFirstCore(true);
  std::vector<double> keyd_p50, agent_p50, bare_p50;
  double rate = 0;
  {
    Keyd keyd(argv[2], folder);
    const std::unique_ptr<SshAgent> agent = SshAgent::Start(folder);
    unsigned char pk[32], sk[64], signature[64];
    crypto_sign_keypair(pk, sk);
    const std::string message(240, 'm');
    for (int round = 0; round < kRounds; ++round) {
      keyd_p50.push_back(MedianCall([&] {
        if (!SignOnce(*keyd.request)) Fail("keyd refused");
      }));
      if (agent != nullptr)
        agent_p50.push_back(MedianCall([&] {
          if (!agent->Sign(message)) Fail("the agent refused");
        }));
      bare_p50.push_back(MedianCall([&] {
        crypto_sign_detached(signature, nullptr,
                             reinterpret_cast<const unsigned char*>(message.data()), message.size(),
                             sk);
      }));
    }
  }
  PinToFirstCore(false);
  (void)RemoveTree(folder);
  {
    char second[] = "/tmp/auspex-bench-XXXXXX";
    const std::string home = ::mkdtemp(second);
    Keyd keyd(argv[2], home);
    std::vector<double> rates;
    for (int round = 0; round < 3; ++round) rates.push_back(Rate(keyd));
    rate = Median(std::move(rates));
    (void)RemoveTree(home);
  }
  std::printf(
      "{\"sign_p50_us\": %.1f, \"bare_ed25519_p50_us\": %.1f, "
      "\"signatures_per_second_64_in_flight\": %.0f",
      Median(keyd_p50), Median(bare_p50), rate);
  if (!agent_p50.empty()) {
    std::printf(", \"ssh_agent_p50_us\": %.1f, \"sign_p50_over_ssh_agent\": %.2f",
                Median(agent_p50), Median(keyd_p50) / Median(agent_p50));
  }
  std::printf("}\n");
  return 0;
}

}  // namespace
}  // namespace auspex::bench

int main(int argc, char** argv) { return auspex::bench::Main(argc, argv); }
