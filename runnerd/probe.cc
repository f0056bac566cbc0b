// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/probe.h"

#include <unistd.h>

#include "common/base/cat.h"
#include "common/files/files.h"
#include "common/ids/ids.h"
#include "runnerd/init/landlock.h"
#include "runnerd/init/protocol.h"
#include "runnerd/init_report.h"
#include "runnerd/remedies.h"
#include "runnerd/sandbox_arguments.h"
#include "runnerd/sandbox_run.h"

namespace auspex::runnerd {
namespace {

constexpr double kProbeSeconds = 15;
constexpr const char* kReinstall =
    "the sandbox is not what this release builds: reinstall bubblewrap and auspex";

using Facts = std::map<std::string, std::string, std::less<>>;

Facts ParseFacts(std::string_view text) {
  Facts facts;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (const size_t equals = line.find('='); equals != std::string_view::npos) {
      std::string_view value = line.substr(equals + 1);
      while (value.ends_with(' ')) value.remove_suffix(1);
      facts.emplace(line.substr(0, equals), value);
    }
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return facts;
}

class Judge {
 public:
  explicit Judge(Facts facts) : facts_(std::move(facts)) {}

  bool Is(std::string_view name, std::string_view value) const {
    auto at = facts_.find(name);
    return at != facts_.end() && at->second == value;
  }
  // A namespace other than ours.
  bool Apart(std::string_view kind, const std::map<std::string, std::string>& outside) const {
    auto inside = facts_.find(Cat("ns_", kind));
    auto ours = outside.find(std::string(kind));
    return inside != facts_.end() && inside->second.starts_with(kind) && ours != outside.end() &&
           inside->second != ours->second;
  }
  void Layer(std::string name, bool in_force, std::string remedy, bool required = true) {
    if (required && !in_force && result_.failure.empty())
      result_.failure = Cat("layer ", name, " is not in force: ", remedy);
    result_.layers.push_back(
        {std::move(name), in_force, required, in_force ? "" : std::move(remedy)});
  }
  ProbeResult Finish() {
    result_.ok = result_.failure.empty();
    return std::move(result_);
  }

 private:
  Facts facts_;
  ProbeResult result_;
};

ProbeResult NotBuilt(std::string layer, std::string why, std::string remedy) {
  ProbeResult result;
  result.failure = Cat("layer ", layer, " is not in force: ", why);
  result.layers.push_back({std::move(layer), false, true, std::move(remedy)});
  return result;
}

std::map<std::string, std::string> OwnNamespaces() {
  std::map<std::string, std::string> own;
  for (const char* kind : {"user", "pid", "net", "ipc", "uts", "mnt", "cgroup"}) {
    char target[64];
    ssize_t n = readlink(Cat("/proc/self/ns/", kind).c_str(), target, sizeof target);
    if (n > 0) own.emplace(kind, std::string(target, static_cast<size_t>(n)));
  }
  return own;
}

}  // namespace

ProbeResult JudgeLook(std::string_view look, const std::map<std::string, std::string>& outside,
                      int landlock_abi) {
  Judge j(ParseFacts(look));
  const std::string userns = "allow user namespaces for this user";
  j.Layer("user-namespace",
          j.Apart("user", outside) && j.Is("uid", "65534") && j.Is("gid", "65534"), userns);
  j.Layer("mount-namespace", j.Apart("mnt", outside), userns);
  j.Layer("process-namespace",
          j.Apart("pid", outside) && j.Is("pid", "1") && j.Is("processes", "1"), userns);
  j.Layer("network-namespace",
          j.Apart("net", outside) && (j.Is("interfaces", "lo") || j.Is("interfaces", "")), userns);
  j.Layer("ipc-namespace", j.Apart("ipc", outside), userns);
  j.Layer("hostname", j.Apart("uts", outside) && j.Is("hostname", unit_init::kHostName), userns);
  bool no_capabilities = true;
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    no_capabilities &= j.Is(set, "0000000000000000");
  j.Layer("no-capabilities", no_capabilities, kReinstall);
  j.Layer("no-new-privileges", j.Is("NoNewPrivs", "1"), kReinstall);
  j.Layer("seccomp",
          j.Is("Seccomp", "2") && j.Is("ptrace", "refused") && j.Is("mount", "refused") &&
              j.Is("socket_inet", "refused") && j.Is("socket_netlink", "refused"),
          "the kernel must have CONFIG_SECCOMP_FILTER");
  j.Layer("no-nested-namespaces", j.Is("new_user_namespace", "refused"), kReinstall);
  j.Layer("read-only-files",
          j.Is("write_root", "refused") && j.Is("write_usr", "refused") &&
              j.Is("write_etc", "refused") && j.Is("write_dev", "refused") &&
              j.Is("write_proc", "refused") && j.Is("write_unit", "possible"),
          kReinstall);
  j.Layer("closed-descriptors", j.Is("descriptors", "0 1 2"), kReinstall);
  // Required where the kernel has it. A host without (before 5.13, or started with another "lsm=")
  // still has every other wall, and is told.
  j.Layer("landlock", landlock_abi > 0 && j.Is("landlock", Cat(landlock_abi)),
          landlock_abi > 0 ? kReinstall
                           : "this kernel has no Landlock, so that units have one wall less: Linux "
                             "5.13 or newer with landlock in its lsm= list",
          landlock_abi > 0);
  j.Layer("cgroup-namespace", j.Apart("cgroup", outside), "the kernel must have cgroup namespaces",
          false);
  return j.Finish();
}

void AddCgroupLayers(const CgroupTree* cgroups, ProbeResult& result) {
  if (cgroups == nullptr) return;
  for (const CgroupFact& fact : cgroups->facts())
    result.layers.push_back({fact.name, fact.in_force, false, fact.remedy});
}

ProbeResult RunProbe(const SandboxHost& host) {
  if (host.bubblewrap.empty()) {
    return NotBuilt("bubblewrap", "bwrap is not installed",
                    "install bubblewrap (apt install bubblewrap)");
  }
  SandboxSpec spec;
  spec.command = {unit_init::kInitPath, "--self-look"};
  RunRequest request;
  if (const absl::Status put = PutIntoSandbox(host, spec, request); !put.ok()) {
    ProbeResult result =
        NotBuilt("read-only-files", "",
                 "what a sandbox shows must be root's or this user's, and be writable "
                 "by nobody else: see auspex sandbox show");
    result.failure = std::string(put.message());
    return result;
  }
  request.wall_seconds = kProbeSeconds;
  RunControl control;
  absl::StatusOr<RunOutcome> outcome = RunProcessTree(request, control);
  if (!outcome.ok())
    return NotBuilt("bubblewrap", std::string(outcome.status().message()), kReinstall);
  absl::StatusOr<InitReport> report = ParseInitReport(outcome->report);
  if (!report.ok() || report->kind != InitReport::Kind::kExited) {
    const std::string said = Printable(outcome->stderr_tail, 300);
    const Remedy remedy = BuildRemedy(said, ReadHostSettings());
    return NotBuilt(remedy.layer, Cat("the sandbox could not be built: ", said), remedy.what_to_do);
  }
  ProbeResult result = JudgeLook(report->content, OwnNamespaces(), unit_init::LandlockAbi());
  AddCgroupLayers(host.cgroups, result);
  return result;
}

}  // namespace auspex::runnerd
