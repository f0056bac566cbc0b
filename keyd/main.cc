// SPDX-License-Identifier: AGPL-3.0-only
// auspex-keyd: harden, open the journal, load the key, serve the three roles.
#include <signal.h>
#include <sodium/core.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/startup_pages.h"
#include "common/base/status_macros.h"
#include "common/harden/harden.h"
#include "common/ipc/daemon.h"
#include "common/ipc/role_server.h"
#include "common/log/log.h"
#include "keyd/custody.h"
#include "keyd/owner_service.h"
#include "keyd/request_service.h"
#include "keyd/result_service.h"
#include "keyd/self_test.h"
#include "keyd/signing_boundary.h"

namespace auspex::keyd {
namespace {

constexpr int kCleanStop = 0, kFailedAtWork = 1, kRefusedToStart = 2;

absl::Status InStep(std::string_view step, const absl::Status& status) {
  return absl::Status(status.code(), Cat(step, ": ", std::string(status.message())));
}

// Layers that keyd does not run without, put in place before the key is read.
absl::Status HardenOrRefuse() {
  if (absl::Status s = DisableDumps(); !s.ok()) return InStep("hardening no-dump", s);
  if (absl::Status s = NoNewPrivileges(); !s.ok()) return InStep("hardening no-new-privileges", s);
  if (absl::Status s = OnlyUnixSockets(); !s.ok()) return InStep("hardening only-unix-sockets", s);
  return absl::OkStatus();
}

// Layers that an older kernel may lack: their names go into the status, `missing`.
void HardenAsFarAsPossible(const Daemon& daemon, const SealSources& sources,
                           std::vector<std::string>& missing) {
  const auto note = [&missing](const char* layer, const absl::Status& status) {
    if (status.ok()) return;
    missing.push_back(layer);
    LogWarning("hardening_missing", {{"layer", layer}, {"cause", std::string(status.message())}});
  };
  note("deny-exec", DenyExec());
  FileRules rules;
  // Sockets are made and removed in the run folder; everything else that keyd writes is its own
  // state.
  rules.read_write = {daemon.state_dir(), daemon.layout().RunDir("keyd")};
  // gRPC counts processors.
  rules.read_only = {"/sys/devices/system/cpu"};
  for (const std::string& path : {sources.credential_path, sources.passphrase_path}) {
    if (!path.empty()) rules.read_only.push_back(path);
  }
  note("landlock", RestrictFiles(rules));
}

absl::StatusOr<std::unique_ptr<Journal>> OpenJournal(const std::string& path,
                                                     AssignmentLedger& ledger) {
  ASSIGN_OR_RETURN(std::unique_ptr<JournalFile> file,
                   OpenJournalFile(path, Clock::System().NowMicros()));
  absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(
      std::move(file), [&ledger](const JournalRecord& record) { ledger.Replay(record); });
  if (!journal.ok()) {
    return absl::Status(journal.status().code(),
                        Cat(path, ": ", std::string(journal.status().message()),
                            ". keyd does not start on a journal that was changed: keep the file as "
                            "evidence, put a backup in its place, or "
                            "destroy the identity and bootstrap a new one"));
  }
  if ((*journal)->torn_octets() > 0) {
    LogWarning("journal_tail_cut", {{"octets", (*journal)->torn_octets()}, {"path", path}});
  }
  return journal;
}

absl::Status Serve(Daemon& daemon) {
  if (sodium_init() < 0) return absl::InternalError("libsodium: cannot be initialised");
  // A limit on file sizes is a full disk to the journal, not a death.
  ::signal(SIGXFSZ, SIG_IGN);
  RETURN_IF_ERROR(HardenOrRefuse());
  const SealSources sources = SealSources::FromEnvironment(daemon.state_dir());
  std::vector<std::string> missing;
  // Before gRPC has threads: file rules hold for a thread and its children.
  HardenAsFarAsPossible(daemon, sources, missing);
  RETURN_IF_ERROR(SelfTest());

  const Clock& clock = Clock::System();
  const std::string journal_path = daemon.state_dir() + "/journal.log";
  AssignmentLedger ledger;
  ASSIGN_OR_RETURN(const std::unique_ptr<Journal> journal, OpenJournal(journal_path, ledger));
  ASSIGN_OR_RETURN(const std::unique_ptr<KeyRing> keys, KeyRing::Load(daemon.state_dir(), sources));

  // Only a new start, which reads what the disk really holds, makes the journal usable again: leave
  // that to the supervisor, so that a disk that was full for an hour does not stop the worker for
  // good.
  journal->OnFailure([&daemon] { daemon.RequestStop(); });
  Recorder recorder(*journal, clock);
  Grants grants(clock);
  SigningBoundary boundary(*keys, recorder, ledger, grants, clock);
  Custody custody(*keys, recorder, grants);
  RequestService request_service(boundary, *keys);
  ResultService result_service(boundary);
  OwnerService owner_service({custody, *keys, *journal, recorder, journal_path, missing});

  const auto options = [&daemon](const char* role, const char* peer, int max_message) {
    RoleServer::Options o;
    o.role = Cat("keyd/", role);
    o.socket_path = daemon.layout().Socket("keyd", role);
    o.allow = daemon.AllowFor(peer);
    o.max_message_octets = max_message;
    // Calls wait for the disk together: threads that stay spare making one for each call of a
    // burst.
    o.max_pollers = 16;
    return o;
  };
  ASSIGN_OR_RETURN(const auto request_server,
                   RoleServer::Start(options("request", "netd", 64 * 1024), {&request_service}));
  request_service.peers().Set(request_server.get());
  ASSIGN_OR_RETURN(
      const auto result_server,
      RoleServer::Start(options("result", "runnerd", 2 * 1024 * 1024), {&result_service}));
  result_service.peers().Set(result_server.get());
  ASSIGN_OR_RETURN(const auto owner_server,
                   RoleServer::Start(options("owner", "cli", 64 * 1024), {&owner_service}));
  owner_service.peers().Set(owner_server.get());

  LogInfo("serving", {{"key", keys->view().public_key_hex()},
                      {"seal", SealWord(keys->seal())},
                      {"journal_records", journal->head().records},
                      {"assignments", ledger.size()}});
  daemon.NotifyReady();
  ReleaseStartupPages();
  const int signal = daemon.WaitForStop();
  for (const auto* server : {&owner_server, &result_server, &request_server}) (*server)->Shutdown();
  LogInfo("stopped", {{"signal", signal}, {"signatures", recorder.signatures()}});
  // No signal: the journal asked for it.
  if (signal == 0) return absl::AbortedError("the journal cannot be written");
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  absl::StatusOr<Daemon> daemon = Daemon::Init("keyd", argc, argv);
  const absl::Status status = daemon.ok() ? Serve(*daemon) : daemon.status();
  if (status.ok()) return kCleanStop;
  if (absl::IsAborted(status)) {
    LogError("failed_at_work", {{"cause", std::string(status.message())}});
    return kFailedAtWork;
  }
  LogError("refused_to_start", {{"cause", std::string(status.message())}});
  return kRefusedToStart;
}

}  // namespace
}  // namespace auspex::keyd

int main(int argc, char** argv) { return auspex::keyd::Main(argc, argv); }
