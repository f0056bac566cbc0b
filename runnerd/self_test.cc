// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/self_test.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"
#include "common/crypto/sha256.h"
#include "common/files/files.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "common/wire/manifest.h"
#include "runnerd/escape/table.h"
#include "runnerd/package_store.h"
#include "runnerd/unit_pipeline.h"

namespace auspex::runnerd {
namespace {

constexpr char kTenant[] = "auspex-self-test", kExperiment[] = "escape";
constexpr char kProbeName[] = "auspex-escape-probe";
constexpr size_t kMaxProbeOctets = 64 << 20;
// Little of everything, so that bombs end soon.
constexpr int kMemoryMb = 256, kProcesses = 64;
// For those that are made to meet the wall clock, and for all others, on a machine of any speed.
constexpr double kShortSeconds = 2, kLongSeconds = 300;

// What comes of a self-test is shown and never signed.
class NoSigner final : public UnitSigner {
 public:
  absl::StatusOr<SignedResult> Sign(const Unit&, const UnitResult& result, RunControl&) override {
    SignedResult unsigned_result;
    unsigned_result.result = result;
    return unsigned_result;
  }
};

class NoArchives final : public ArchiveSource {
 public:
  absl::Status Fetch(const Sha256Hex&, int, RunControl&) override {
    return absl::NotFoundError("a self-test fetches nothing");
  }
  void Drop(const Sha256Hex&) override {}
};

std::string Described(const UnitOutcome& outcome) {
  if (const auto* refusal = std::get_if<Refusal>(&outcome))
    return Cat(RefusalWord(refusal->kind), ": ", refusal->reason);
  return std::holds_alternative<Withdrawn>(outcome) ? "ended" : "completed";
}

}  // namespace

// The staged package, the pipeline, and a listener in this process's abstract namespace.
class SelfTest::Bench {
 public:
  static absl::StatusOr<std::unique_ptr<Bench>> Set(const SandboxHost& host,
                                                    ThermalGovernor& thermal,
                                                    Isolation& isolation) {
    std::unique_ptr<Bench> bench(new Bench(Cat(host.state_dir, "/self-test")));
    RETURN_IF_ERROR(RemoveTree(bench->folder_));
    RETURN_IF_ERROR(MakePrivateDirectory(bench->folder_));
    RETURN_IF_ERROR(bench->Stage(host.escape_probe));
    RETURN_IF_ERROR(bench->Listen());
    ASSIGN_OR_RETURN(bench->packages_, PackageStore::Open(bench->folder_, host, bench->archives_));
    Config& config = bench->config_;
    config.execution_policy = ExecutionPolicy::kProvisioned;
    config.provisioning_dir = Cat(bench->folder_, "/staged");
    config.memory_max_mb = kMemoryMb;
    config.pids_max = kProcesses;
    bench->pipeline_ = std::make_unique<UnitPipeline>(
        UnitPipeline::Parts{host, [b = bench.get()] { return b->config_; }, thermal, isolation,
                            *bench->packages_, bench->signer_, Clock::System()});
    return bench;
  }
  ~Bench() {
    packages_.reset();
    (void)RemoveTree(folder_);
  }

  UnitOutcome RunUnit(std::string_view name, JsonObject payload, double seconds,
                      RunControl& control) {
    config_.runner_timeout_seconds = seconds;
    return pipeline_->Run(Unit{*AssignmentId::Parse(name), *UnitId::Parse(name),
                               *TenantId::Parse(kTenant), *ExperimentLabel::Parse(kExperiment),
                               *sha_, FormatWireTime(Clock::System().NowMicros()),
                               WriteCanonical(JsonValue(std::move(payload))), false},
                          control);
  }
  const std::string& abstract() const { return abstract_; }

 private:
  explicit Bench(std::string folder) : folder_(std::move(folder)) {}

  absl::Status Stage(const std::string& probe) {
    ASSIGN_OR_RETURN(const std::string octets, ReadFile(probe, kMaxProbeOctets));
    const std::string digest =
        PackageDigest(std::map<std::string, std::string>{{kProbeName, Sha256HexOf(octets)}}).str();
    const std::string manifest = Cat("{\"tenant_id\":\"", kTenant, "\",\"experiment_id\":\"",
                                     kExperiment, "\",\"executor\":{\"command\":[\"./", kProbeName,
                                     "\"],\"package_sha256\":\"", digest, "\"}}");
    ASSIGN_OR_RETURN(const JsonValue value, ReadJson(manifest));
    sha_ = ManifestSha256(value);
    const std::string package = Cat(folder_, "/staged/", sha_->str());
    RETURN_IF_ERROR(MakePrivateDirectory(Cat(folder_, "/staged")));
    RETURN_IF_ERROR(MakePrivateDirectory(package));
    RETURN_IF_ERROR(WriteFileAtomically(Cat(package, "/manifest.json"), manifest, 0444));
    RETURN_IF_ERROR(WriteFileAtomically(Cat(package, "/", kProbeName), octets, 0555));
    if (chmod(package.c_str(), 0555) != 0) return ErrnoStatus(errno, "chmod", package);
    return absl::OkStatus();
  }

  absl::Status Listen() {
    abstract_ = Cat("auspex-self-test-", static_cast<int64_t>(getpid()));
    listener_.Reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path + 1, abstract_.data(), abstract_.size());
    const auto size =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + abstract_.size());
    if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        listen(listener_.get(), 1) != 0) {
      return ErrnoStatus(errno, "listen", abstract_);
    }
    return absl::OkStatus();
  }

  const std::string folder_;
  std::string abstract_;
  UniqueFd listener_;
  std::optional<Sha256Hex> sha_;
  Config config_;
  NoArchives archives_;
  NoSigner signer_;
  std::unique_ptr<PackageStore> packages_;
  std::unique_ptr<UnitPipeline> pipeline_;
};

bool SelfTest::Enter(RunControl& control) {
  std::lock_guard lock(mutex_);
  if (!stopped_) current_ = &control;
  return !stopped_;
}

void SelfTest::Leave() {
  std::lock_guard lock(mutex_);
  current_ = nullptr;
}

void SelfTest::Stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  if (current_ != nullptr) current_->Request(EndReason::kStopping, 0);
}

absl::Status SelfTest::Run(const std::function<bool(const SelfTestRow&)>& row) {
  const std::unique_lock one(one_, std::try_to_lock);
  if (!one.owns_lock()) return absl::FailedPreconditionError("a self-test runs already");
  if (host_.escape_probe.empty())
    return absl::FailedPreconditionError("auspex-escape-probe is not installed");
  if (const ProbeResult probe = isolation_.Ensure(); !probe.ok)
    return absl::FailedPreconditionError(probe.failure);
  ASSIGN_OR_RETURN(const std::unique_ptr<Bench> bench, Bench::Set(host_, thermal_, isolation_));
  return RunOn(*bench, row);
}

absl::Status SelfTest::RunOn(Bench& bench, const std::function<bool(const SelfTestRow&)>& row) {
  const absl::Status cancelled = absl::CancelledError("the self-test was ended");
  const auto run = [&](std::string_view name, JsonObject payload,
                       double seconds) -> std::optional<UnitOutcome> {
    RunControl control;
    if (!Enter(control)) return std::nullopt;
    UnitOutcome outcome = bench.RunUnit(name, std::move(payload), seconds, control);
    Leave();
    return outcome;
  };
  JsonObject targets{{"abstract", bench.abstract()}};
  for (const auto& [name, path] : targets_) targets.emplace(name, path);
  const std::optional<UnitOutcome> table = run(
      "table", {{"attempt", "table"}, {"targets", JsonValue(std::move(targets))}}, kLongSeconds);
  if (!table) return cancelled;
  const auto* result = std::get_if<SignedResult>(&*table);
  if (result == nullptr) return absl::InternalError(Cat("self-test: ", Described(*table)));
  ASSIGN_OR_RETURN(const JsonValue found, ReadJson(result->result.canonical_payload));
  if (!row({"ran-under", "what a result would be signed with", "strict", result->result.ran_under,
            result->result.ran_under == "strict" ? "held" : "broken"})) {
    return cancelled;
  }
  for (const escape::Attempt& attempt : escape::Attempts()) {
    const std::string* seen = found.FindString(attempt.name);
    SelfTestRow said{attempt.name, attempt.what, attempt.expected,
                     seen == nullptr ? "not reported" : *seen, "broken"};
    if (escape::Holds(attempt.expected, said.seen)) {
      said.verdict = "held";
    } else if (attempt.needs_process_limit && said.seen == "worked") {
      said.verdict = "no-limit";
    }
    if (!row(said)) return cancelled;
  }
  for (const escape::Ending& ending : escape::Endings()) {
    const bool meets_clock = ending.expected == escape::kOverTime;
    const std::optional<UnitOutcome> outcome =
        run(ending.name, {{"attempt", std::string(ending.name)}},
            meets_clock ? kShortSeconds : kLongSeconds);
    if (!outcome) return cancelled;
    SelfTestRow said{ending.name, ending.what, ending.expected, Described(*outcome), "broken"};
    const bool held = ending.expected == "completed"
                          ? said.seen == "completed"
                          : said.seen.starts_with("runner_failed: ") &&
                                said.seen.find(ending.expected) != std::string::npos;
    if (held) said.verdict = "held";
    if (!row(said)) return cancelled;
  }
  return absl::OkStatus();
}

}  // namespace auspex::runnerd
