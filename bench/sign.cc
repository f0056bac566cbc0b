// SPDX-License-Identifier: AGPL-3.0-only
// keyd's journalled signatures: latency beside OpenSSH's agent, which keeps no journal, beside the bare curve operation and the bare
// flush of the same disk; rate with 1 and 64 calls under way; with --million also memory over, and the start after, a million
// signatures of a worker's traffic. Prints one JSON object.
//
// Latency: this program, keyd and the agent share one core, variants take turns within each round, and the median of the rounds' medians
// counts. Where that is allowed all three run at real-time priority, so that other programs' time slices are not what is measured. The
// client is netd's own.
//
// Usage: bench_sign --bin DIR [--million [N]]
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "auspex/keyd/v1/keyd.pb.h"
#include "bench/keyd_process.h"
#include "bench/ssh_agent.h"
#include "bench/traffic.h"
#include "common/base/unique_fd.h"
#include "netd/keyd_client.h"

namespace auspex::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 9;
constexpr int kCallsPerRound = 300;
constexpr int kRateRounds = 5;
constexpr double kRateSeconds = 1.0;
constexpr int kInFlight = 64;
constexpr int kStarts = 5;

void PinToFirstCore(bool pinned) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  for (int i = 0; i < (pinned ? 1 : CPU_SETSIZE); ++i) CPU_SET(i, &cores);
  ::sched_setaffinity(0, sizeof cores, &cores);
}

// Children inherit it. False when it is not allowed.
bool RealTime(bool on) {
  sched_param parameter{};
  parameter.sched_priority = on ? 1 : 0;
  return ::sched_setscheduler(0, on ? SCHED_RR : SCHED_OTHER, &parameter) == 0;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// One variant of what is measured, in microseconds.
class Variant {
 public:
  template <typename Call>
  void Round(Call call) {
    std::vector<double> micros;
    for (int i = 0; i < kCallsPerRound; ++i) {
      const auto start = Clock::now();
      if (!call()) Fail("a call failed");
      micros.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
    }
    medians_.push_back(Median(std::move(micros)));
  }
  double p50() const { return Median(medians_); }

 private:
  std::vector<double> medians_;
};

// A write of a record's size and its flush, in room that is there already.
class BareFlush {
 public:
  explicit BareFlush(const std::string& folder)
      : fd_(::open((folder + "/flush").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    const std::string room(1024 * 1024, '\0');
    if (::pwrite(fd_.get(), room.data(), room.size(), 0) < 0 || ::fdatasync(fd_.get()) != 0)
      Fail("no room for the bare flush");
  }
  bool Once() {
    char record[180] = {1};
    offset_ = (offset_ + sizeof record) % (1000 * 1024);
    return ::pwrite(fd_.get(), record, sizeof record, offset_) == sizeof record &&
           ::fdatasync(fd_.get()) == 0;
  }

 private:
  UniqueFd fd_;
  off_t offset_ = 0;
};

void Latency(const std::string& bin) {
  PinToFirstCore(true);
  const bool real_time = RealTime(true);
  ScratchFolder folder;
  const KeydProcess keyd(bin, folder.path(), /*fresh=*/true);
  KeydClient client(keyd.socket("request"));
  keyd::v1::SignRequestRequest poll;
  poll.mutable_poll();
  const std::unique_ptr<SshAgent> agent = SshAgent::Start(folder.path());
  BareFlush flush(folder.path());
  unsigned char pk[32], sk[64], signature[64];
  crypto_sign_keypair(pk, sk);
  const std::string message(240, 'm');
  Variant keyd_calls, agent_calls, flushes, bare;
  for (int round = 0; round < kRounds; ++round) {
    keyd_calls.Round([&] { return client.Sign(poll, {}).ok(); });
    if (agent != nullptr) agent_calls.Round([&] { return agent->Sign(message); });
    flushes.Round([&] { return flush.Once(); });
    bare.Round([&] {
      const auto* octets = reinterpret_cast<const unsigned char*>(message.data());
      return crypto_sign_detached(signature, nullptr, octets, message.size(), sk) == 0;
    });
  }
  std::printf(
      "\"sign_p50_us\": %.1f, \"bare_flush_p50_us\": %.1f, \"bare_ed25519_p50_us\": %.1f, "
      "\"real_time_priority\": %d",
      keyd_calls.p50(), flushes.p50(), bare.p50(), real_time ? 1 : 0);
  if (agent != nullptr) {
    std::printf(", \"ssh_agent_p50_us\": %.1f, \"sign_p50_over_ssh_agent\": %.3f",
                agent_calls.p50(), keyd_calls.p50() / agent_calls.p50());
  }
  RealTime(false);
  PinToFirstCore(false);
}

void Rates(const std::string& bin) {
  ScratchFolder folder;
  const KeydProcess keyd(bin, folder.path(), /*fresh=*/true);
  std::vector<double> one, many;
  for (int round = 0; round < kRateRounds; ++round) {
    one.push_back(PollRate(keyd, 1, kRateSeconds));
    many.push_back(PollRate(keyd, kInFlight, kRateSeconds));
  }
  std::printf(
      ", \"signatures_per_second_1_in_flight\": %.0f, \"signatures_per_second_64_in_flight\": %.0f",
      Median(std::move(one)), Median(std::move(many)));
}

// Memory over `signatures` of a worker's traffic, then starts on the journal that they left.
void Million(const std::string& bin, uint64_t signatures) {
  ScratchFolder folder;
  {
    KeydProcess keyd(bin, folder.path(), /*fresh=*/true);
    std::printf(", \"pss_kib_at_start\": %ld", keyd.pss_kib());
    long first = 0, most = 0;
    const uint64_t step = std::max<uint64_t>(signatures / 100, 1);
    const auto start = Clock::now();
    UnitTraffic(keyd, kInFlight, signatures, step, [&](uint64_t) {
      const long now = keyd.pss_kib();
      if (first == 0) first = now;
      most = std::max(most, now);
    });
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    std::printf(
        ", \"signatures\": %llu, \"unit_traffic_signatures_per_second\": %.0f, "
        "\"pss_kib_after_a_hundredth\": %ld, \"pss_kib_most\": %ld, \"pss_kib_after_all\": %ld, "
        "\"threads\": %d",
        static_cast<unsigned long long>(signatures), static_cast<double>(signatures) / seconds,
        first, most, keyd.pss_kib(), keyd.threads());
    keyd.Stop(SIGKILL);
  }
  // The first start comes after a kill, the others after a clean stop.
  std::vector<double> starts;
  double after_kill = 0;
  long pss = 0;
  for (int i = 0; i <= kStarts; ++i) {
    const KeydProcess keyd(bin, folder.path(), /*fresh=*/false);
    if (i == 0) {
      after_kill = keyd.start_ms();
    } else {
      starts.push_back(keyd.start_ms());
    }
    pss = keyd.pss_kib();
  }
  std::printf(
      ", \"start_on_that_journal_after_kill_ms\": %.1f, \"start_on_that_journal_ms\": %.1f, "
      "\"pss_kib_after_that_start\": %ld",
      after_kill, Median(std::move(starts)), pss);
}

int Main(int argc, char** argv) {
  if (argc < 3 || argc > 5 || std::strcmp(argv[1], "--bin") != 0 ||
      (argc > 3 && std::strcmp(argv[3], "--million") != 0)) {
    Fail("usage: bench_sign --bin DIR [--million [N]]");
  }
  if (sodium_init() < 0) Fail("libsodium does not start");
  std::printf("{");
  std::fflush(stdout);  // children are forked that have a copy of what is not written
  Latency(argv[2]);
  Rates(argv[2]);
  if (argc > 3) Million(argv[2], argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 1'000'000);
  std::printf("}\n");
  return 0;
}

}  // namespace
}  // namespace auspex::bench

int main(int argc, char** argv) { return auspex::bench::Main(argc, argv); }
