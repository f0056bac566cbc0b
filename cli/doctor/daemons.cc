// SPDX-License-Identifier: AGPL-3.0-only
// What the daemons say when doctor asks them.
#include <algorithm>
#include <cstdlib>

#include "cli/doctor/check.h"
#include "common/base/cat.h"
#include "common/journal/note.h"

namespace auspex::cli {
namespace {

// A checkpoint that lacks more records than this was not made for a long time.
constexpr uint64_t kManyRecords = 100'000;
// The coordinator takes signatures that are at most 300 s old.
constexpr int64_t kMuchSkew = 240, kSomeSkew = 30;

constexpr char kKilled[] =
    "restart it and read its log; a keyd that was killed by SIGSYS made a system call that its "
    "filter denies (the kernel's log names it): a defect, or somebody inside it";

// What to do about a daemon that could not be started for the look: one that refused says itself what it lacks.
std::string Remedy(const absl::Status& need, const char* otherwise) {
  return absl::IsFailedPrecondition(need) ? "mend what it names, and look again" : otherwise;
}

std::string Cause(const absl::Status& status) { return Clean(std::string(status.message())); }

void CheckState(Worker& worker, Checks& checks) {
  const absl::StatusOr<stated_v1::Status> status = worker->WorkerStatus();
  if (!status.ok()) {
    checks.push_back(
        {"stated", Health::kFailure, Cause(status.status()), "restart it and read its log"});
    return;
  }
  checks.push_back({"stated", Health::kOk, "answers; its database opens"});
  const stated_v1::Identity& identity = status->identity();
  if (!identity.enrolled()) {
    checks.push_back(
        {"enrolment", Health::kWarning, "this worker is not enrolled", "auspex bootstrap"});
    return;
  }
  if (!status->hold_kind().empty()) {
    checks.push_back({"enrolment", Health::kWarning,
                      Cat(Clean(identity.worker_id()), " is held by the operator: ",
                          Clean(status->hold_kind()), " ", Clean(status->hold_reason())),
                      "ask the coordinator's operator"});
    return;
  }
  checks.push_back({"enrolment", Health::kOk,
                    Cat(Clean(identity.worker_id()), " at ", Clean(identity.base_url()))});
}

void CheckConnection(Worker& worker, Checks& checks) {
  const absl::StatusOr<netd_v1::ConnectionStatus> status = worker->ConnectionStatus();
  if (!status.ok()) {
    checks.push_back(
        {"netd", Health::kFailure, Cause(status.status()), "restart it and read its log"});
    return;
  }
  if (!status->last_error().empty()) {
    checks.push_back({"netd", Health::kWarning,
                      Cat("answers; the last call failed: ", Clean(status->last_error())),
                      "see that the coordinator can be reached from this machine"});
  } else {
    checks.push_back({"netd", Health::kOk,
                      Cat("answers; ", status->heartbeats_succeeded(), " heartbeats were taken")});
  }
  const int64_t skew = std::abs(status->clock_skew_seconds());
  if (skew > kSomeSkew) {
    checks.push_back({"clock", skew > kMuchSkew ? Health::kFailure : Health::kWarning,
                      Cat(skew, " s from the coordinator's clock"),
                      "set this machine's clock (systemd-timesyncd, chrony)"});
  }
}

void CheckSandbox(Worker& worker, Checks& checks) {
  const absl::StatusOr<runnerd_v1::ProbeResponse> probe = worker->Probe();
  if (!probe.ok()) {
    checks.push_back(
        {"runnerd", Health::kFailure, Cause(probe.status()), "restart it and read its log"});
    return;
  }
  checks.push_back({"runnerd", Health::kOk, "answers"});
  std::string without, remedy;  // the first remedy: probe has all
  int in_force = 0;
  for (const runnerd_v1::Layer& layer : probe->layers()) {
    in_force += layer.in_force();
    if (layer.in_force()) continue;
    if (layer.required()) {
      checks.push_back({"sandbox", Health::kFailure,
                        Cat("no tenant code runs: ", Clean(layer.name()), " is missing"),
                        Clean(layer.remedy())});
      return;
    }
    if (without.empty()) remedy = Clean(layer.remedy());
    without += Cat(without.empty() ? "" : ", ", Clean(layer.name()));
  }
  if (!probe->ok()) {
    checks.push_back(
        {"sandbox", Health::kFailure, Clean(probe->failure()), "auspex sandbox probe"});
  } else if (!without.empty()) {
    checks.push_back({"sandbox", Health::kWarning, Cat("works, without ", without), remedy});
  } else {
    checks.push_back({"sandbox", Health::kOk, Cat("works; ", in_force, " layers in force")});
  }
}

}  // namespace

std::string MissingLayers(const keyd_v1::KeyStatus& status) {
  std::string missing;
  for (const std::string& layer : status.missing_hardening()) {
    missing += Cat(missing.empty() ? "" : ", ", Clean(layer));
  }
  return missing;
}

void CheckKeyStatus(const keyd_v1::KeyStatus& status, const std::string& program, Checks& checks) {
  for (const keyd_v1::HardeningLayer& layer : status.hardening()) {
    if (layer.in_force()) {
      // This layer alone has two strengths: only memfd_secret keeps root out.
      if (layer.name() == "locked-memory") {
        checks.push_back(
            {"key-page", Health::kOk, Cat("keyd's key lies in ", Clean(layer.detail()))});
      }
      continue;
    }
    checks.push_back({"hardening", Health::kWarning,
                      Cat("keyd runs without ", Clean(layer.name()), ": ", Clean(layer.detail())),
                      "mend the cause and take the word out of keyd.accept_missing_hardening"});
  }
  if (status.missing_hardening().empty()) {
    checks.push_back({"hardening", Health::kOk,
                      Cat("keyd has all ", status.hardening_size(), " layers in force")});
  }

  if (!status.identity().has_key()) {
    checks.push_back({"key", Health::kWarning, "there is no key", Cat(program, " bootstrap")});
  } else {
    const std::string where = status.seal().empty()
                                  ? Clean(status.keystore())
                                  : Cat(Clean(status.keystore()), " under ", Clean(status.seal()));
    checks.push_back({"key", status.advice().empty() ? Health::kOk : Health::kWarning,
                      Cat("kept as ", where), Clean(status.advice())});
  }

  const uint64_t records = status.journal_records();
  const std::string journal = Cat(records, " records, ", status.journal_octets() >> 10, " KiB in ",
                                  status.journal_segments(), " files");
  const absl::StatusOr<SignedCheckpoint> note = ParseNote(status.checkpoint());
  if (status.checkpoint().empty()) {
    // A journal without a key has nothing that could sign for it.
    const bool ok = !status.identity().has_key() || records < kManyRecords;
    checks.push_back({"journal", ok ? Health::kOk : Health::kWarning,
                      Cat(journal, "; no checkpoint yet"),
                      ok ? "" : "restart keyd, which makes one"});
  } else if (!note.ok() || note->checkpoint.size > records) {
    checks.push_back({"journal", Health::kFailure,
                      note.ok() ? Cat("a checkpoint covers ", note->checkpoint.size,
                                      " records and there are ", records)
                                : Cause(note.status()),
                      Cat("keep the files as evidence and look with: ", program, " audit verify")});
  } else {
    const uint64_t behind = records - note->checkpoint.size;
    checks.push_back({"journal", behind > kManyRecords ? Health::kWarning : Health::kOk,
                      Cat(journal, "; the checkpoint covers all but the last ", behind),
                      behind > kManyRecords ? "restart keyd, which makes one" : ""});
  }
}

void CheckDaemons(Worker& worker, const Session& session, Checks& checks) {
  std::string resting;
  for (const char* name : {"keyd", "stated", "runnerd", "netd"}) {
    if (!worker.daemons().Answers(name)) resting += Cat(resting.empty() ? "" : ", ", name);
  }
  const bool netd_runs = worker.daemons().Answers("netd");
  const bool all_rest = resting == "keyd, stated, runnerd, netd";
  const std::string start =
      session.layout.mode() == Layout::Mode::kSystem
          ? "systemctl start auspex-keyd auspex-stated auspex-runnerd auspex-netd"
          : Cat(session.output.program(), " service install, or ", session.output.program(),
                " daemon in a terminal");
  checks.push_back(
      {"daemons",
       resting.empty() ? Health::kOk
       : all_rest      ? Health::kWarning
                       : Health::kFailure,
       resting.empty() ? std::string("all four answer") : Cat("not running: ", resting),
       resting.empty() ? std::string() : start});

  if (const absl::Status need = worker.Need({"keyd"}); !need.ok()) {
    checks.push_back({"keyd", Health::kFailure, Cause(need), Remedy(need, kKilled)});
  } else if (const absl::StatusOr<keyd_v1::KeyStatus> status = worker->KeyStatus(); !status.ok()) {
    checks.push_back({"keyd", Health::kFailure, Cause(status.status()), kKilled});
  } else {
    checks.push_back({"keyd", Health::kOk, "answers"});
    CheckKeyStatus(*status, session.output.program(), checks);
  }
  if (const absl::Status need = worker.Need({"stated"}); !need.ok()) {
    checks.push_back({"stated", Health::kFailure, Cause(need), Remedy(need, "read its log")});
  } else {
    CheckState(worker, checks);
  }
  // Alone it is given no unit meanwhile, and what is started for the look is stopped after it.
  if (const absl::Status need = worker.Need({"runnerd"}); !need.ok()) {
    checks.push_back({"runnerd", Health::kFailure, Cause(need), Remedy(need, "read its log")});
  } else {
    CheckSandbox(worker, checks);
  }
  // netd starts to talk to the coordinator when it starts: it is never started for a look.
  if (netd_runs) CheckConnection(worker, checks);
}

}  // namespace auspex::cli
