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
#include "common/base/sanitized.h"
#include "common/base/startup_pages.h"
#include "common/base/status_macros.h"
#include "common/ipc/call_loop.h"
#include "common/ipc/daemon.h"
#include "common/ipc/read_turns.h"
#include "common/ipc/role_server.h"
#include "common/log/log.h"
#include "keyd/checkpointer.h"
#include "keyd/custody.h"
#include "keyd/environment.h"
#include "keyd/hardening.h"
#include "keyd/journal_start.h"
#include "keyd/keystore_setup.h"
#include "keyd/owner_service.h"
#include "keyd/request_service.h"
#include "keyd/result_service.h"
#include "keyd/self_test.h"
#include "keyd/signing_boundary.h"

namespace auspex::keyd {
namespace {

constexpr int kCleanStop = 0, kFailedAtWork = 1, kRefusedToStart = 2;

// Ten times what keyd needs with 64 calls of each role under way.
constexpr size_t kHeapForPeersOfKeyd = size_t{64} * 1024 * 1024;

// Calls of one method that share a flush at most. A result is up to 2 MiB, so there are few of them in memory.
constexpr int kRequestsAtOnce = 64, kResultsAtOnce = 8;

// What Landlock leaves: keyd's own state, its run folder, where sockets are made and removed, and the sources of the seal.
FileRules OwnFiles(const Daemon& daemon, const SealSources& sources) {
  FileRules rules;
  rules.read_write = {daemon.state_dir(), daemon.layout().RunDir("keyd")};
  // gRPC counts processors.
  rules.read_only = {"/sys/devices/system/cpu"};
  for (const std::string& path : {sources.credential_path, sources.passphrase_path}) {
    if (!path.empty()) rules.read_only.push_back(path);
  }
  return rules;
}

absl::StatusOr<std::unique_ptr<Journal>> OpenJournal(const Daemon& daemon, const KeyRing& keys,
                                                     AssignmentLedger& ledger,
                                                     CreatedClock& created) {
  JournalStart start;
  start.state_dir = daemon.state_dir();
  start.options.segment_octets =
      static_cast<uint64_t>(daemon.config().journal_segment_mb) * 1024 * 1024;
  start.now_micros = Clock::System().NowMicros();
  start.public_key_hex = keys.view().public_key_hex();
  ASSIGN_OR_RETURN(std::unique_ptr<Journal> journal,
                   StartJournal(start, [&](const JournalRecord& record) {
                     ledger.Replay(record);
                     created.Replay(record);
                   }));
  RETURN_IF_ERROR(ledger.status());
  if (journal->torn_octets() > 0) {
    LogWarning("journal_tail_cut", {{"octets", journal->torn_octets()}, {"path", journal->path()}});
  }
  return journal;
}

absl::Status Serve(Daemon& daemon) {
  RETURN_IF_ERROR(RefuseLoadedCode());
  ReadNamesForSanitizer();
  if (sodium_init() < 0) return absl::InternalError("libsodium: cannot be initialised");
  // A limit on file sizes is a full disk to the journal, not a death.
  ::signal(SIGXFSZ, SIG_IGN);
  // First of all, while keyd has one thread, no key and the right to start a program.
  ASSIGN_OR_RETURN(
      KeystoreSetup keystores,
      SetUpKeystores(daemon.layout(), daemon.config(), daemon.state_dir(), ProcessEnvironment()));
  CleanEnvironment();
  Hardening hardening;
  RETURN_IF_ERROR(hardening.Accept(daemon.config().accept_missing_hardening));
  RETURN_IF_ERROR(hardening.BeforeTheKey(OwnFiles(daemon, keystores.options.sources)));
  // A secret like the key, and therefore read no earlier.
  RETURN_IF_ERROR(TakePassphrase(keystores.options.sources));
  RETURN_IF_ERROR(SelfTest());

  const Clock& clock = Clock::System();
  ASSIGN_OR_RETURN(const std::unique_ptr<Rates> rates,
                   Rates::Create(daemon.config().signing_rates, clock));
  AssignmentLedger ledger(daemon.state_dir());
  CreatedClock created(clock);
  ASSIGN_OR_RETURN(const std::unique_ptr<KeyRing> keys,
                   KeyRing::Load(daemon.state_dir(), keystores.options));
  ASSIGN_OR_RETURN(const std::unique_ptr<Journal> journal,
                   OpenJournal(daemon, *keys, ledger, created));

  // Only a new start, which reads what the disk really holds, makes the journal usable again: leave
  // that to the supervisor, so that a disk that was full for an hour does not stop the worker for
  // good.
  journal->OnFailure([&daemon] { daemon.RequestStop(); });
  Recorder recorder(*journal, clock);
  Checkpointer checkpointer(*journal, *keys, clock);
  Grants grants(clock);
  SigningBoundary boundary({*keys, recorder, ledger, grants, created, *rates});
  Custody custody(*keys, recorder, grants, created, *rates);
  BoundHeapForPeers(kHeapForPeersOfKeyd);
  const auto push = [&journal = *journal] { journal.Push(); };
  CallLoop request_loop(kRequestsAtOnce, push), result_loop(kResultsAtOnce, push);
  RequestService request_service(boundary, *keys, request_loop);
  ResultService result_service(boundary, result_loop);
  OwnerService owner_service({custody, *keys, *journal, recorder, checkpointer, *rates, hardening,
                              ImportPath(daemon.state_dir())});

  const auto options = [&daemon](const char* role, const char* peer, int max_message) {
    RoleServer::Options o;
    o.role = Cat("keyd/", role);
    o.socket_path = daemon.layout().Socket("keyd", role);
    o.allow = daemon.AllowFor(peer);
    o.max_message_octets = max_message;
    return o;
  };
  ASSIGN_OR_RETURN(
      const auto request_server,
      RoleServer::Start(options("request", "netd", 64 * 1024), {&request_service}, &request_loop));
  request_service.peers().Set(request_server.get());
  ASSIGN_OR_RETURN(const auto result_server,
                   RoleServer::Start(options("result", "runnerd", 2 * 1024 * 1024),
                                     {&result_service}, &result_loop));
  result_service.peers().Set(result_server.get());
  ASSIGN_OR_RETURN(const auto owner_server,
                   RoleServer::Start(options("owner", "cli", 64 * 1024), {&owner_service}));
  owner_service.peers().Set(owner_server.get());

  RETURN_IF_ERROR(checkpointer.SignIfGrown());
  checkpointer.Start();
  RETURN_IF_ERROR(hardening.WhenServing());
  LogInfo("serving", {{"key", keys->view().public_key_hex()},
                      {"keystore", keys->storage().Words()},
                      {"journal_records", journal->head().records},
                      {"assignments", ledger.size()}});
  if (const std::string advice = keys->storage().advice; !advice.empty()) {
    LogWarning("keystore_advice", {{"advice", advice}});
  }
  daemon.NotifyReady();
  ReleaseStartupPages();
  const int signal = daemon.WaitForStop([&] {
    const std::string key = keys->view().public_key_hex();
    return Cat(key.empty() ? "no key yet" : Cat("key ", key.substr(0, 16)), ", ",
               recorder.signatures(), " signatures since the start, ", journal->head().records,
               " records in the journal");
  });
  // Calls that follow the journal end, too.
  checkpointer.Stop();
  for (const auto* server : {&owner_server, &result_server, &request_server}) (*server)->Shutdown();
  if (const absl::Status s = checkpointer.SignIfGrown(); !s.ok()) {
    LogWarning("checkpoint_failed", {{"cause", std::string(s.message())}});
  }
  LogInfo("stopped", {{"signal", signal}, {"signatures", recorder.signatures()}});
  // No signal: the journal asked for it.
  if (signal == 0) return absl::AbortedError("the journal cannot be written");
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  absl::StatusOr<Daemon> daemon = Daemon::Init("keyd", argc, argv);
  const absl::Status status = daemon.ok() ? Serve(*daemon) : daemon.status();
  if (status.ok()) return kCleanStop;
  // A disk that is full may have room later: the supervisor tries again.
  if (absl::IsAborted(status) || absl::IsUnavailable(status) || absl::IsResourceExhausted(status)) {
    LogError("failed_at_work", {{"cause", std::string(status.message())}});
    if (daemon.ok()) daemon->PauseBeforeRetry(std::string(status.message()));
    return kFailedAtWork;
  }
  LogError("refused_to_start", {{"cause", std::string(status.message())}});
  return kRefusedToStart;
}

}  // namespace
}  // namespace auspex::keyd

#ifdef __SANITIZE_ADDRESS__
// Found by the sanitizer's runtime. Its search for leaks at the end looks into /proc and traces, which keyd has no right to any more; the
// library's tests have that search.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }
#endif

int main(int argc, char** argv) { return auspex::keyd::Main(argc, argv); }
