// SPDX-License-Identifier: AGPL-3.0-only
// auspex-runnerd: harden, clear what an earlier one left, prepare the sandboxes, serve the owner,
// work for stated.
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/cat.h"
#include "common/base/sanitized.h"
#include "common/base/startup_pages.h"
#include "common/base/status_macros.h"
#include "common/config/live.h"
#include "common/harden/allow_list.h"
#include "common/harden/harden.h"
#include "common/ipc/channel.h"
#include "common/ipc/daemon.h"
#include "common/ipc/role_server.h"
#include "common/log/log.h"
#include "runnerd/cgroup/tree.h"
#include "runnerd/govern.h"
#include "runnerd/governor_loop.h"
#include "runnerd/isolation.h"
#include "runnerd/keyd_client.h"
#include "runnerd/leftovers.h"
#include "runnerd/monitor.h"
#include "runnerd/package_store.h"
#include "runnerd/packages_service.h"
#include "runnerd/processor_time.h"
#include "runnerd/sandbox_host.h"
#include "runnerd/sandboxes_service.h"
#include "runnerd/self_test.h"
#include "runnerd/stated_client.h"
#include "runnerd/syscalls.h"
#include "runnerd/unit_limits.h"
#include "runnerd/unit_pipeline.h"
#include "runnerd/view.h"
#include "runnerd/work_loop.h"

namespace auspex::runnerd {
namespace {

constexpr int kCleanStop = 0, kRefusedToStart = 2;
// What running units get at a stop. What is not done by then is killed and refused, so that the
// coordinator can give it to somebody else at once; what no executor ran for yet is left to stated,
// which hands it out again after the next start.
constexpr double kStopGraceSeconds = 5;

absl::Status InStep(std::string_view step, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), Cat(step, ": ", std::string(status.message())));
}

// Where all daemons have one user, runnerd goes where the others' keys and state are not. A host that
// does not allow it is said aloud; sandboxes will most likely be refused there too.
absl::Status EnterView(const Daemon& daemon, const SandboxHost& host) {
  if (daemon.layout().mode() == Layout::Mode::kSystem) return absl::OkStatus();
  std::vector<std::string> also;
  for (const std::string& program : {host.unit_init, host.unpack, host.bubblewrap}) {
    if (!program.empty()) also.push_back(program.substr(0, program.rfind('/')));
  }
  for (const char* flag : {"--thermal-root", "--gauges-root"}) {
    if (const std::string root = daemon.flag(flag); !root.empty()) also.push_back(root);
  }
  ASSIGN_OR_RETURN(const ViewRules rules,
                   ViewOfHost(daemon.config(), daemon.layout(), std::move(also)));
  const absl::Status status = EnterPrivateView(rules);
  if (!absl::IsUnimplemented(status)) return status;
  LogWarning("hardening_missing",
             {{"layer", "private-view"}, {"cause", std::string(status.message())}});
  return absl::OkStatus();
}

// What the self-test reaches for: this worker's own secrets and doors.
std::map<std::string, std::string> ReachedFor(const Layout& layout) {
  const char* home = std::getenv("HOME");
  std::map<std::string, std::string> targets = {
      {"key-folder", layout.StateDir("keyd")},
      {"database", Cat(layout.StateDir("stated"), "/auspex.db")},
      {"packages", Cat(layout.StateDir("runnerd"), "/packages")},
      {"configuration", layout.owner_config_file()},
      {"home", home == nullptr ? "/root" : home},
      {"pid", Cat(static_cast<int64_t>(getpid()))},
      {"cgroup", "/sys/fs/cgroup/cgroup.procs"}};
  for (const auto& [daemon, role] :
       {std::pair("keyd", "request"), std::pair("keyd", "result"), std::pair("keyd", "owner"),
        std::pair("stated", "net"), std::pair("stated", "run"), std::pair("stated", "owner"),
        std::pair("netd", "owner"), std::pair("runnerd", "owner")}) {
    targets.emplace(Cat(daemon, "-", role), layout.Socket(daemon, role));
  }
  return targets;
}

// What sandboxes inherit has to leave bubblewrap its work: no Landlock here (a confined process may
// not mount), and the socket filter leaves it netlink for the loopback of a new network namespace.
// Tenants get the narrower filter on top.
absl::Status Harden() {
  RETURN_IF_ERROR(InStep("hardening no-dump", DisableDumps()));
  RETURN_IF_ERROR(InStep("hardening no-new-privileges", NoNewPrivileges()));
  RETURN_IF_ERROR(InStep("hardening only-local-sockets", OnlyUnixAndNetlinkSockets()));
  if (!kSanitized) return InStep("hardening system calls", KeepOnly(RunnerdCalls()));
  LogWarning("layer_missing",
             {{"layer", "seccomp"}, {"why", "this build's sanitizer makes calls of its own"}});
  return absl::OkStatus();
}

void ApplyTotals(CgroupTree& cgroups, const Config& config) {
  if (const absl::Status status = cgroups.SetTotals(UnitTotals(config)); !status.ok())
    LogError("caps_not_in_force", {{"cause", std::string(status.message())}});
}

// runnerd's own time and that of its units: exact where they have cgroups, else what their tree of
// processes shows.
absl::StatusOr<int64_t> WorkerMicros(const CgroupTree& cgroups) {
  if (!cgroups.usable()) return TreeMicros("/proc", getpid());
  ASSIGN_OR_RETURN(const int64_t own, ProcessMicros("/proc", getpid()));
  ASSIGN_OR_RETURN(const int64_t units, cgroups.UnitsMicros());
  return own + units;
}

void SayCgroups(const CgroupTree& cgroups) {
  for (const CgroupFact& fact : cgroups.facts()) {
    if (!fact.in_force) LogWarning("layer_missing", {{"layer", fact.name}, {"why", fact.remedy}});
  }
  if (cgroups.usable()) LogInfo("cgroups", {{"base", cgroups.base()}});
}

absl::Status Serve(Daemon& daemon) {
  // The first steps need the whole host: leftovers are outside of the view, and what is prepared
  // says what has to be in it.
  const std::unique_ptr<CgroupTree> cgroups = CgroupTree::Open(daemon.state_dir());
  EndLeftovers(SandboxHost::EtcFolder(daemon.state_dir()));
  SandboxHost::Options host_options;
  host_options.state_dir = daemon.state_dir();
  host_options.program_dir = daemon.flag("--programs");
  host_options.cgroups = cgroups.get();
  ASSIGN_OR_RETURN(const SandboxHost host, SandboxHost::Prepare(host_options));
  RETURN_IF_ERROR(InStep("private view", EnterView(daemon, host)));
  RETURN_IF_ERROR(Harden());

  const Config& at_start = daemon.config();
  // Whoever reads the settings again puts the owner's caps of all units in force again: the monitor
  // does it every few seconds, so that they hold for units that run too.
  LiveConfig live(daemon.layout(), ProcessEnvironment());
  const auto put_in_force = [&cgroups](absl::StatusOr<Config> config) {
    if (config.ok()) ApplyTotals(*cgroups, *config);
    return config;
  };
  const auto load_config = [&live, put_in_force] { return put_in_force(live.Load()); };
  // For whoever must not wait: units are frozen at once, whatever is being written.
  const auto config_now = [&live, put_in_force] { return put_in_force(live.Now()); };
  const std::string thermal_root = daemon.flag("--thermal-root");
  ThermalGovernor thermal({at_start.warn_c, at_start.crit_c, at_start.resume_c},
                          thermal_root.empty() ? "/sys/class/thermal" : thermal_root);
  Isolation isolation([&host] { return RunProbe(host); });
  const std::shared_ptr<grpc::Channel> to_stated =
      ConnectTo(daemon.layout().Socket("stated", "run"));
  StatedClient stated(to_stated);
  KeydClient keyd(daemon.layout().Socket("keyd", "result"));
  ASSIGN_OR_RETURN(const std::unique_ptr<PackageStore> packages,
                   PackageStore::Open(daemon.state_dir(), host, stated));
  UnitPipeline pipeline({host, load_config, thermal, isolation, *packages, keyd, Clock::System()});

  // The two name each other; neither calls the other before Start.
  Monitor* monitor_handle = nullptr;
  WorkLoop work(to_stated, stated, pipeline, at_start.slots,
                [&monitor_handle] { monitor_handle->ReportAgain(); });
  GovernorLoop governor(
      {thermal, config_now,
       [&](const Verdict& verdict, const Config& config) {
         const bool other = work.slots().SetCount(config.slots);
         if (work.slots().Obey(OrdersFor(verdict, config, cgroups->can_freeze())) || other)
           monitor_handle->LookAgain();
       },
       daemon.flag("--gauges-root"), daemon.state_dir(),
       [&cgroups] { return WorkerMicros(*cgroups); }});
  Monitor monitor(
      {thermal, config_now,
       [&stated](const std::string& json) { return stated.ReportCapabilities(json); },
       [&](const Config& config) { return ConditionNow(governor.Last(), work.slots(), config); },
       [&stated](const Condition& condition) { return stated.ReportCondition(condition); }, "",
       AUSPEX_VERSION});
  monitor_handle = &monitor;

  SelfTest self_test(host, thermal, isolation, ReachedFor(daemon.layout()));
  SandboxesService service(work.slots(), isolation, governor, load_config, host, self_test);
  PackagesService packages_service(packages->shelf(), load_config);
  RoleServer::Options role;
  role.role = "runnerd/owner";
  role.socket_path = daemon.layout().Socket("runnerd", "owner");
  role.allow = daemon.AllowFor("cli");
  role.max_message_octets = 64 * 1024;
  ASSIGN_OR_RETURN(const auto server, RoleServer::Start(role, {&service, &packages_service}));

  SayCgroups(*cgroups);
  isolation.StartInBackground();
  // Before there is a unit: none is to begin on a machine that nobody has looked at.
  governor.Start();
  monitor.Start();
  work.Start();
  LogInfo("serving",
          {{"slots", at_start.slots}, {"policy", ExecutionPolicyWord(at_start.execution_policy)}});
  daemon.NotifyReady();
  ReleaseStartupPages();
  const int signal = daemon.WaitForStop([&work] {
    return Cat(work.slots().ListRunning().size(), " of ", work.slots().count(), " slots busy");
  });
  work.Stop(kStopGraceSeconds);
  // Else the stop would wait for a stated that is away, or was stopped with us.
  stated.EndReports();
  governor.Stop();
  monitor.Stop();
  server->Shutdown();
  LogInfo("stopped", {{"signal", signal}});
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  absl::StatusOr<Daemon> daemon = Daemon::Init(
      "runnerd", argc, argv,
      {{"--programs", true, "folder of auspex-unit-init and auspex-unpack"},
       {"--gauges-root", true, "folder with another proc for load and memory pressure"},
       {"--thermal-root", true, "folder with thermal_zone* (default /sys/class/thermal)"}});
  const absl::Status status = daemon.ok() ? Serve(*daemon) : daemon.status();
  if (status.ok()) return kCleanStop;
  LogError("refused_to_start", {{"cause", std::string(status.message())}});
  return kRefusedToStart;
}

}  // namespace
}  // namespace auspex::runnerd

int main(int argc, char** argv) { return auspex::runnerd::Main(argc, argv); }
