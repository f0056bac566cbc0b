// SPDX-License-Identifier: AGPL-3.0-only
// auspex-stated: owns the database and answers netd, runnerd and the owner. It opens no network
// socket, starts no program and calls nobody.
#include <malloc.h>
#include <sodium/core.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/sanitized.h"
#include "common/base/startup_pages.h"
#include "common/base/status_macros.h"
#include "common/harden/allow_list.h"
#include "common/harden/harden.h"
#include "common/ids/ids.h"
#include "common/ipc/daemon.h"
#include "common/ipc/role_server.h"
#include "common/log/log.h"
#include "stated/confinement.h"
#include "stated/hub.h"
#include "stated/service/net_service.h"
#include "stated/service/owner_service.h"
#include "stated/service/work_service.h"
#include "stated/syscalls.h"

namespace auspex::stated {
namespace {

constexpr int kExitRefused = 2;
constexpr int kGraceMillis = 300;
constexpr int kMaxMessageOctets = 4 * 1024 * 1024;

absl::Status TakePrivilegesAway(const Daemon& daemon) {
  RETURN_IF_ERROR(DisableDumps());
  RETURN_IF_ERROR(NoNewPrivileges());
  if (absl::Status restricted = RestrictFiles(StatedFiles(daemon.layout())); !restricted.ok()) {
    // A kernel without Landlock is said aloud; the other layers stand without it.
    if (!absl::IsUnimplemented(restricted)) return restricted;
    LogWarning("layer_missing",
               {{"layer", "landlock"}, {"reason", std::string(restricted.message())}});
  }
  RETURN_IF_ERROR(OnlyUnixSockets());
  return DenyExec();
}

// For every thread that there is by now and every later one.
absl::Status KeepOnlyItsCalls() {
  if (!kSanitized) return KeepOnly(StatedCalls());
  LogWarning("layer_missing",
             {{"layer", "seccomp"}, {"reason", "this build's sanitizer makes calls of its own"}});
  return absl::OkStatus();
}

absl::StatusOr<Settings> SettingsFrom(const Config& config) {
  Settings settings;
  const double seconds = std::max(config.assignment_poll_interval_seconds, 1.0);
  settings.poll_interval_micros = static_cast<int64_t>(seconds * 1e6);
  if (!config.receipt_signer_pubkey.empty()) {
    ASSIGN_OR_RETURN(const PublicKeyHex key, PublicKeyHex::Parse(config.receipt_signer_pubkey));
    settings.receipt_signer_pubkey = key.str();
  }
  return settings;
}

absl::StatusOr<std::unique_ptr<RoleServer>> Serve(const Daemon& daemon, std::string_view role,
                                                  std::string_view peer,
                                                  std::vector<grpc::Service*> services) {
  RoleServer::Options options;
  options.role = Cat("stated/", role);
  options.socket_path = daemon.layout().Socket("stated", role);
  options.allow = daemon.AllowFor(peer);
  options.max_message_octets = kMaxMessageOctets;
  return RoleServer::Start(std::move(options), std::move(services));
}

absl::Status Run(Daemon& daemon) {
  // A heap for each of gRPC's threads would cost more memory than sharing two costs time.
  ::mallopt(M_ARENA_MAX, 2);
  if (sodium_init() < 0) return absl::InternalError("libsodium did not start");
  RETURN_IF_ERROR(TakePrivilegesAway(daemon));
  ASSIGN_OR_RETURN(Settings settings, SettingsFrom(daemon.config()));
  ASSIGN_OR_RETURN(const std::unique_ptr<Hub> hub,
                   Hub::Open(daemon.state_dir(), Clock::System(), std::move(settings)));
  IntakeService intake(*hub);
  OutboxService outbox(*hub);
  WorkService work(*hub);
  QueryService query(*hub);
  PolicyService policy(*hub);
  ASSIGN_OR_RETURN(const std::unique_ptr<RoleServer> net,
                   Serve(daemon, "net", "netd", {&intake, &outbox}));
  ASSIGN_OR_RETURN(const std::unique_ptr<RoleServer> run, Serve(daemon, "run", "runnerd", {&work}));
  ASSIGN_OR_RETURN(const std::unique_ptr<RoleServer> owner,
                   Serve(daemon, "owner", "cli", {&query, &policy}));
  // Only now: a socket that is there already is asked whether somebody answers.
  RETURN_IF_ERROR(DenyConnect());
  RETURN_IF_ERROR(KeepOnlyItsCalls());
  daemon.NotifyReady();
  LogInfo("serving");
  ReleaseStartupPages();
  // Asking for it is also what the watchdog watches: a database that answers nobody ends the pings.
  daemon.WaitForStop([&hub]() -> std::string {
    const absl::StatusOr<StatusReport> status = hub->StatusNow();
    if (!status.ok()) return Cat("no status: ", std::string(status.status().message()));
    return Cat(status->state, status->state_reason.empty() ? "" : ": ", status->state_reason, "; ",
               status->units_running, " units running, ", status->outbox_results,
               " results to send");
  });
  // Streams end by themselves once the hub has stopped. What the servers still wait for is clients
  // that have not yet read that the connection ends, so they wait side by side and not long: a call
  // that changes something takes a few milliseconds.
  hub->Stop();
  std::thread stop_net([&] { net->Shutdown(kGraceMillis); });
  std::thread stop_run([&] { run->Shutdown(kGraceMillis); });
  owner->Shutdown(kGraceMillis);
  stop_net.join();
  stop_run.join();
  return absl::OkStatus();
}

}  // namespace
}  // namespace auspex::stated

int main(int argc, char** argv) {
  absl::StatusOr<auspex::Daemon> daemon = auspex::Daemon::Init("stated", argc, argv);
  absl::Status status = daemon.status();
  if (status.ok()) status = auspex::stated::Run(*daemon);
  if (status.ok()) return 0;
  auspex::LogError("refused_to_start", {{"cause", std::string(status.message())}});
  return auspex::stated::kExitRefused;
}
