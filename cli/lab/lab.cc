// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/lab/lab.h"

#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>

#include "cli/lab/coordinator.h"
#include "cli/lab/interrupt.h"
#include "cli/lab/kept.h"
#include "cli/lab/lab_worker.h"
#include "cli/lab/package.h"
#include "cli/lab/progress.h"
#include "cli/lab/report.h"
#include "cli/process/stragglers.h"
#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"
#include "common/paths/layout.h"

namespace auspex::cli::lab {
namespace {

using Time = std::chrono::steady_clock::time_point;

constexpr char kDefaultExperiment[] = "robustness-sweep";
// Bounds for what hangs, not for what is slow: a process that ends is noticed at once, and who waits
// can interrupt.
constexpr int kReadySeconds = 240;
// The experiment is given up when nothing at all has moved for so long, or for so many times what
// starting the lab took, which tells how slow this machine is.
constexpr int kStuckSeconds = 60, kStuckStarts = 10;
// While a unit runs nothing has to move until its worker ends it: runnerd's wall clock of a unit.
constexpr int kUnitSeconds = 600;
constexpr int kPollMs = 50;
// Above the sum of what `auspex daemon` gives its four daemons.
constexpr int kWorkerStopMs = 25'000;
constexpr int kCoordinatorStopMs = 5'000;

Time Now() { return std::chrono::steady_clock::now(); }
double SecondsSince(Time start) { return std::chrono::duration<double>(Now() - start).count(); }
// A call that failed as one to a slow process does; whether the process still runs is another matter.
bool MaybeSlow(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

class Lab {
 public:
  Lab(const Output& output, const LabOptions& options)
      : output_(output), options_(options), display_(output) {}
  ~Lab() { TearDown(); }

  // The whole way; the report when all went well.
  absl::StatusOr<LabReport> Run();
  // What the workers logged of trouble.
  std::string Troubles() const;
  // Leaves everything running, with a list of the processes for StopKeptLab.
  absl::Status LetGo();

 private:
  absl::Status MakeDirectory();
  absl::Status StartWorkers();
  absl::Status AwaitWorkers();
  absl::Status AwaitExperiment(const std::string& id, LabProgress& progress);
  absl::Status AwaitReceipts(int64_t expected);
  // FAILED_PRECONDITION names the worker or the coordinator that has ended.
  absl::Status CheckAlive();
  absl::Status Collect(const std::string& id, LabReport& report);
  // Stops what runs and removes the directory. Idempotent.
  void TearDown();

  const Output& output_;
  LabOptions options_;
  double stuck_seconds_ = kStuckSeconds;
  ProgressDisplay display_;
  Interrupt interrupt_;
  std::string directory_;
  std::unique_ptr<LabCoordinator> coordinator_;
  std::vector<std::unique_ptr<LabWorker>> workers_;
};

absl::Status Lab::MakeDirectory() {
  const char* base = std::getenv("TMPDIR");
  std::string name = Cat(base != nullptr && *base != '\0' ? base : "/tmp", "/auspex-lab-XXXXXX");
  if (mkdtemp(name.data()) == nullptr) return ErrnoStatus(errno, "mkdtemp", name);
  directory_ = name;
  return absl::OkStatus();
}

absl::Status Lab::StartWorkers() {
  LabWorker::Settings settings{coordinator_->url(), coordinator_->receipt_key(), options_.slots,
                               options_.keep};
  for (int i = 1; i <= options_.workers; ++i) {
    const std::string name = Cat("w", i);
    ASSIGN_OR_RETURN(std::unique_ptr<LabWorker> worker,
                     LabWorker::Create(name, Cat(directory_, "/", name), settings));
    RETURN_IF_ERROR(worker->BeginBootstrap());
    workers_.push_back(std::move(worker));
  }
  for (const auto& worker : workers_) {
    RETURN_IF_ERROR(worker->FinishBootstrap());
    RETURN_IF_ERROR(worker->StartDaemon());
    RETURN_IF_ERROR(interrupt_.Sleep(0));
  }
  return absl::OkStatus();
}

absl::Status Lab::AwaitWorkers() {
  const Time start = Now();
  for (const auto& worker : workers_) {
    for (;;) {
      const absl::Status ready = worker->CheckReady();
      if (ready.ok()) break;
      RETURN_IF_ERROR(CheckAlive());
      if (!MaybeSlow(ready)) return ready;
      if (SecondsSince(start) > kReadySeconds) {
        return absl::DeadlineExceededError(
            Cat("not ready after ", kReadySeconds, " s: ", std::string(ready.message())));
      }
      RETURN_IF_ERROR(interrupt_.Sleep(kPollMs / 5));
    }
  }
  return absl::OkStatus();
}

absl::Status Lab::CheckAlive() {
  for (const auto& worker : workers_) {
    if (std::optional<int> end = worker->process().Poll()) {
      return absl::FailedPreconditionError(
          Cat("worker ", worker->name(), ": auspex daemon ", DescribeEnd(*end)));
    }
  }
  if (std::optional<int> end = coordinator_->process().Poll())
    return absl::FailedPreconditionError(Cat("the coordinator ", DescribeEnd(*end)));
  return absl::OkStatus();
}

absl::Status Lab::AwaitExperiment(const std::string& id, LabProgress& progress) {
  const Time start = Now();
  Time moved = start;
  for (;;) {
    const absl::StatusOr<LabProgress> now = coordinator_->Progress(id);
    RETURN_IF_ERROR(CheckAlive());
    if (!now.ok() && !MaybeSlow(now.status())) return now.status();
    if (now.ok() && !(*now == progress)) {
      moved = Now();
      progress = *now;
    }
    display_.Update(progress, SecondsSince(start));
    if (progress.disagreed > 0)
      return absl::DataLossError(Cat(progress.disagreed, " units on which the workers disagree"));
    if (progress.units > 0 && progress.done == progress.units) break;
    const double patience = stuck_seconds_ + (progress.running > 0 ? kUnitSeconds : 0);
    if (SecondsSince(moved) > patience) {
      return absl::DeadlineExceededError(
          Cat("nothing moved for ", static_cast<int>(patience), " s: ", progress.done, " of ",
              progress.units, " units done, ", progress.results, " results",
              now.ok() ? "" : Cat("; ", std::string(now.status().message()))));
    }
    RETURN_IF_ERROR(interrupt_.Sleep(kPollMs));
  }
  display_.End();
  if (progress.agreed != progress.units) {
    return absl::DataLossError(
        Cat("only ", progress.agreed, " of ", progress.units, " units were agreed on"));
  }
  return absl::OkStatus();
}

absl::Status Lab::AwaitReceipts(int64_t expected) {
  Time moved = Now();
  int64_t last = -1;
  std::string silent;  // who did not answer in time, and why
  for (;;) {
    RETURN_IF_ERROR(CheckAlive());
    int64_t verified = 0;
    silent.clear();
    for (const auto& worker : workers_) {
      const absl::StatusOr<stated_v1::Status> status = worker->clients().WorkerStatus();
      if (!status.ok() && MaybeSlow(status.status())) {
        silent += Cat("; worker ", worker->name(), ": ", std::string(status.status().message()));
        continue;
      }
      RETURN_IF_ERROR(status.status());
      if (status->receipts_bad() > 0) {
        return absl::DataLossError(Cat("worker ", worker->name(), ": ", status->receipts_bad(),
                                       " receipts do not verify"));
      }
      verified += static_cast<int64_t>(status->receipts_canonical());
    }
    if (verified >= expected) return absl::OkStatus();
    // Less than before: a worker did not answer this time.
    if (verified > last) {
      moved = Now();
      last = verified;
    }
    if (SecondsSince(moved) > stuck_seconds_) {
      return absl::DeadlineExceededError(Cat("only ", last, " of ", expected, " receipts after ",
                                             static_cast<int>(stuck_seconds_), " s", silent));
    }
    RETURN_IF_ERROR(interrupt_.Sleep(kPollMs));
  }
}

absl::Status Lab::Collect(const std::string& id, LabReport& report) {
  ASSIGN_OR_RETURN(const std::vector<LabResult> results, coordinator_->Results(id));
  std::vector<Measured> measured;
  for (const LabResult& result : results) {
    if (!result.agreed)
      return absl::DataLossError(Cat("unit ", result.unit_id, ": the workers do not agree"));
    ASSIGN_OR_RETURN(const Measured one, ReadMeasured(result.payload));
    measured.push_back(one);
  }
  report.curve = Gather(measured);
  for (const auto& worker : workers_) {
    ASSIGN_OR_RETURN(WorkerProof proof,
                     VerifyWorker(worker->clients(), coordinator_->receipt_key()));
    report.workers.push_back({worker->name(), worker->home(), std::move(proof)});
  }
  return absl::OkStatus();
}

absl::StatusOr<LabReport> Lab::Run() {
  LabReport report;
  report.options = options_;
  std::string folder = options_.experiment;
  if (folder.empty()) {
    ASSIGN_OR_RETURN(folder, FindExample(kDefaultExperiment));
  }
  ASSIGN_OR_RETURN(const PackedExperiment experiment, PackExperiment(folder));
  report.experiment = experiment.name;

  const Time start = Now();
  RETURN_IF_ERROR(MakeDirectory());
  report.directory = directory_;
  display_.Step(
      Cat("lab in ", directory_, ": starting a coordinator and ", options_.workers, " workers"));
  ASSIGN_OR_RETURN(coordinator_,
                   LabCoordinator::Start(Cat(directory_, "/coordinator"), options_.keep));
  report.coordinator_url = coordinator_->url();
  RETURN_IF_ERROR(StartWorkers());
  RETURN_IF_ERROR(AwaitWorkers());
  report.start_seconds = SecondsSince(start);
  stuck_seconds_ = std::max<double>(kStuckSeconds, kStuckStarts * report.start_seconds);

  const Time submitted = Now();
  ASSIGN_OR_RETURN(report.experiment_id, coordinator_->Submit(experiment, MakeUnits(options_.units),
                                                              options_.replication));
  display_.Step(Cat("experiment ", report.experiment_id, ": ", options_.units, " units, each on ",
                    options_.replication, " workers, in the strict sandbox"));
  LabProgress progress;
  RETURN_IF_ERROR(AwaitExperiment(report.experiment_id, progress));
  report.work_seconds = SecondsSince(submitted);
  report.units = progress.units;
  report.agreed = progress.agreed;
  report.results = progress.results;

  const Time agreed = Now();
  RETURN_IF_ERROR(AwaitReceipts(progress.results));
  RETURN_IF_ERROR(Collect(report.experiment_id, report));
  report.receipt_seconds = SecondsSince(agreed);
  int64_t verified = 0;
  for (const LabReport::Member& worker : report.workers) verified += worker.proof.receipts_verified;
  if (verified != report.results) {
    return absl::DataLossError(
        Cat("the workers hold ", verified, " receipts for ", report.results, " results"));
  }
  return report;
}

std::string Lab::Troubles() const {
  std::string out;
  for (const auto& worker : workers_) {
    const std::string lines = worker->Troubles();
    if (!lines.empty()) out += Cat("worker ", worker->name(), ":\n", lines);
  }
  return out;
}

absl::Status Lab::LetGo() {
  std::vector<int> processes;
  for (const auto& worker : workers_) processes.push_back(worker->process().pid());
  processes.push_back(coordinator_->process().pid());
  RETURN_IF_ERROR(WriteProcesses(directory_, processes));
  for (const auto& worker : workers_) worker->process().Release();
  coordinator_->process().Release();
  workers_.clear();
  coordinator_.reset();
  directory_.clear();
  return absl::OkStatus();
}

void Lab::TearDown() {
  display_.End();
  if (directory_.empty()) return;
  // All workers stop at the same time, each in its own order; then the coordinator that they talk
  // to.
  for (const auto& worker : workers_) worker->process().Signal(SIGTERM);
  for (const auto& worker : workers_) worker->process().Stop(kWorkerStopMs);
  workers_.clear();
  if (coordinator_) coordinator_->process().Stop(kCoordinatorStopMs);
  coordinator_.reset();
  KillStragglers();
  if (absl::Status status = RemoveTree(directory_); !status.ok())
    output_.Warning("lab", std::string(status.message()));
  directory_.clear();
}

}  // namespace

int RunLab(const Output& output, const LabOptions& options) {
  if (!options.stop.empty()) {
    if (absl::Status status = StopKeptLab(options.stop); !status.ok()) {
      output.Error("lab", status);
      return kExitFailure;
    }
    output.Line(Cat("stopped and removed ", Clean(options.stop)));
    return kExitOk;
  }
  if (options.replication > options.workers) {
    output.Error("lab",
                 Cat("--replication ", options.replication,
                     " needs as many workers, and --workers is ", options.workers),
                 Cat("--workers ", options.replication, " or more, or a smaller --replication"));
    return kExitRefused;
  }
  InitHttp();
  // What a killed process of the lab leaves behind becomes our child, so that it can be found and
  // ended.
  if (!options.keep) prctl(PR_SET_CHILD_SUBREAPER, 1);
  std::string failure, troubles;
  LabReport report;
  {
    Lab lab(output, options);
    absl::StatusOr<LabReport> outcome = lab.Run();
    absl::Status status = outcome.status();
    if (status.ok() && options.keep) status = lab.LetGo();
    if (status.ok()) {
      report = *std::move(outcome);
    } else {
      failure = std::string(status.message());
      if (!absl::IsCancelled(status)) troubles = lab.Troubles();
    }
  }
  if (!failure.empty()) {
    output.Error("lab", failure);
    if (!troubles.empty()) output.Note(troubles.substr(0, troubles.size() - 1));
    return kExitFailure;
  }
  if (output.json()) {
    output.Json(ReportJson(report));
  } else {
    PrintReport(output, report);
  }
  return kExitOk;
}

}  // namespace auspex::cli::lab
