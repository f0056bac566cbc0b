// SPDX-License-Identifier: AGPL-3.0-only
// service install, uninstall, status: the worker as services of the person's own manager (systemctl --user).
#include <algorithm>
#include <filesystem>
#include <set>

#include "cli/process/child.h"
#include "cli/service/installed.h"
#include "cli/service/unit_store.h"
#include "cli/service/user_manager.h"
#include "cli/verbs/arguments.h"
#include "common/base/cat.h"
#include "common/base/status_macros.h"

namespace auspex::cli {
namespace {

using Standing = UnitStore::Standing;

struct InstallOptions {
  bool print = false, force = false;
};
struct UninstallOptions {
  bool force = false;
};

struct Planned {
  UserUnit unit;
  Standing standing;
};

const char* WordOf(Standing standing) {
  switch (standing) {
    case Standing::kMissing:
      return "new";
    case Standing::kSame:
      return "unchanged";
    case Standing::kOlder:
      return "replaces an older one";
    case Standing::kChanged:
      break;
  }
  return "CHANGED BY SOMEBODY ELSE";
}

// The same of a unit that is looked at and not written.
const char* FileOf(Standing standing, bool anothers) {
  if (standing == Standing::kMissing) return "missing";
  if (anothers) return "of another worker";
  return standing == Standing::kOlder ? "of an older release" : WordOf(standing);
}

std::string Joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += Cat(text.empty() ? "" : ", ", name);
  return text;
}

int Refused(const Session& session, std::string_view cause, std::string_view next = {}) {
  session.output.Error("service", cause, next);
  return kExitRefused;
}

int Failed(const Session& session, const absl::Status& status) {
  session.output.Error("service", status);
  return kExitFailure;
}

absl::StatusOr<std::vector<Planned>> Plan(const Session& session, const UnitStore& store) {
  ASSIGN_OR_RETURN(std::vector<UserUnit> units,
                   UserUnits(session.layout, ProcessEnvironment(), FindProgram));
  std::vector<Planned> plan;
  for (UserUnit& unit : units) {
    const Standing standing = store.StandingOf(unit);
    plan.push_back({std::move(unit), standing});
  }
  return plan;
}

void Print(const Session& session, const UnitStore& store, const std::vector<Planned>& plan) {
  if (session.output.json()) {
    JsonArray files;
    for (const Planned& planned : plan) {
      files.emplace_back(JsonObject{{"path", store.PathOf(planned.unit.name)},
                                    {"standing", WordOf(planned.standing)},
                                    {"text", planned.unit.text}});
    }
    session.output.Json(JsonObject{{"files", std::move(files)}});
    return;
  }
  for (const Planned& planned : plan) {
    session.output.Line(Cat("==> ", Clean(store.PathOf(planned.unit.name)), " (",
                            WordOf(planned.standing), ")\n", planned.unit.text));
  }
}

constexpr char kOfAnother[] = "the services that are installed are another worker's";

// Why the services must not be installed here now; empty when they may.
std::string Hindrance(const Session& session, const UnitStore& store, const UserManager& manager) {
  if (UserManager::SystemHas(std::string(kTargetUnit))) {
    return "the services of the system (auspex.target) run a worker on this machine already";
  }
  const absl::StatusOr<std::string> paths =
      manager.Systemctl({"show", "--property=UnitPath", "--value"});
  if (paths.ok() && Cat(" ", *paths, " ").find(Cat(" ", store.folder())) == std::string::npos) {
    return Cat("the service manager reads no units from ", store.folder(),
               "; was XDG_CONFIG_HOME changed after it had started?");
  }
  switch (WhoseUnits(store, session.layout)) {
    case InstalledFor::kAnotherWorker:
      return Cat(kOfAnother, "; uninstall them first");
    case InstalledFor::kThisWorker:
      // They hold the state themselves.
      if (manager.Active(std::string(kTargetUnit))) return "";
      break;
    case InstalledFor::kNobody:
      break;
  }
  const absl::Status alone = NobodyElseRuns(session.layout);
  return alone.ok() ? "" : std::string(alone.message());
}

// The names of units that are not active, each with what systemd says of it.
std::vector<std::string> NotActive(const UserManager& manager, const std::vector<Planned>& plan) {
  std::vector<std::string> names, troubled;
  for (const Planned& planned : plan) names.push_back(planned.unit.name);
  const auto shown = manager.Show(names, {"ActiveState", "Result"});
  if (!shown.ok()) return {std::string(shown.status().message())};
  for (const auto& [name, properties] : *shown) {
    const auto state = properties.find("ActiveState"), result = properties.find("Result");
    if (state == properties.end() || state->second == "active") continue;
    troubled.push_back(Cat(name, " is ", state->second,
                           result == properties.end() ? "" : Cat(" (", result->second, ")")));
  }
  return troubled;
}

int Tell(const Session& session, const UnitStore& store, const UserManager& manager,
         const std::vector<Planned>& plan, size_t written) {
  const Output& output = session.output;
  const std::vector<std::string> troubled = NotActive(manager, plan);
  const std::optional<bool> lingers = UserManager::Lingers();
  if (output.json()) {
    output.Json(JsonObject{{"folder", store.folder()},
                           {"written", written},
                           {"units", plan.size()},
                           {"running", troubled.empty()},
                           {"lingers", lingers ? JsonValue(*lingers) : JsonValue()}});
  } else {
    output.Line(written == 0 ? Cat("the ", plan.size(), " units in ", Clean(store.folder()),
                                   " are as they should be")
                             : Cat("wrote ", written, " of ", plan.size(), " units to ",
                                   Clean(store.folder())));
    if (troubled.empty()) output.Line("the services run, and start with your next login");
  }
  if (lingers && !*lingers) {
    output.Note("they stop when you log out; to keep them: loginctl enable-linger");
  }
  if (troubled.empty()) return kExitOk;
  output.Error("service", Joined(troubled), "journalctl --user -u 'auspex-*' says why");
  return kExitFailure;
}

int RunInstall(Session& session, const InstallOptions& options) {
  if (session.layout.mode() == Layout::Mode::kSystem) {
    return Refused(session, "the services of the system come with the package",
                   "systemctl enable --now auspex.target");
  }
  const UnitStore store(UnitStore::FolderOf(ProcessEnvironment()));
  if (store.folder().empty()) return Refused(session, "HOME is not set");
  const absl::StatusOr<std::vector<Planned>> plan = Plan(session, store);
  if (!plan.ok()) {
    session.output.Error("service", plan.status());
    return kExitRefused;
  }
  if (options.print) {
    Print(session, store, *plan);
    return kExitOk;
  }
  const absl::StatusOr<UserManager> manager = UserManager::Find();
  if (!manager.ok()) return Refused(session, std::string(manager.status().message()));
  if (const std::string hindrance = Hindrance(session, store, *manager); !hindrance.empty())
    return Refused(session, hindrance);
  std::vector<std::string> changed;
  std::set<std::string> names;
  for (const Planned& planned : *plan) {
    names.insert(planned.unit.name);
    if (planned.standing == Standing::kChanged) changed.push_back(store.PathOf(planned.unit.name));
  }
  if (!changed.empty() && !options.force) {
    return Refused(
        session, Cat("not written by this command, or changed since: ", Joined(changed)),
        "keep settings of your own with `systemctl --user edit UNIT`; --force overwrites");
  }

  const bool ran = manager->Active(std::string(kTargetUnit));
  size_t written = 0;
  for (const Planned& planned : *plan) {
    if (planned.standing == Standing::kSame) continue;
    if (absl::Status status = store.Write(planned.unit); !status.ok())
      return Failed(session, status);
    ++written;
  }
  // What an earlier release had and this one has not.
  for (const std::string& name : store.Ours().whole) {
    if (names.contains(name)) continue;
    (void)manager->Systemctl({"stop", name});  // it may not run
    if (absl::Status status = store.Remove(name); !status.ok()) return Failed(session, status);
  }
  const std::vector<std::vector<std::string>> steps = {
      {"daemon-reload"},
      {"enable", std::string(kTargetUnit)},
      {ran && written > 0 ? "restart" : "start", std::string(kTargetUnit)}};
  for (const std::vector<std::string>& step : steps) {
    if (const auto done = manager->Systemctl(step); !done.ok())
      return Failed(session, done.status());
  }
  return Tell(session, store, *manager, *plan, written);
}

int RunUninstall(Session& session, const UninstallOptions& options) {
  const Output& output = session.output;
  if (session.layout.mode() == Layout::Mode::kSystem) {
    return Refused(session, "the services of the system go with the package",
                   "systemctl disable --now auspex.target");
  }
  const UnitStore store(UnitStore::FolderOf(ProcessEnvironment()));
  const UnitStore::Found ours = store.Ours();
  if (!ours.changed.empty() && !options.force) {
    return Refused(session, Cat("changed since they were written: ", Joined(ours.changed)),
                   "--force removes them too");
  }
  std::vector<std::string> names = ours.whole;
  names.insert(names.end(), ours.changed.begin(), ours.changed.end());
  if (!names.empty()) {
    const absl::StatusOr<UserManager> manager = UserManager::Find();
    if (!manager.ok()) return Refused(session, std::string(manager.status().message()));
    // Asked when the manager was found: without one even the person's own sockets would have other places.
    if (WhoseUnits(store, session.layout) == InstalledFor::kAnotherWorker) {
      return Refused(session, kOfAnother,
                     Cat("say which: --home, or none; ExecStart= in ", Clean(store.folder()),
                         "/auspex-keyd.service has it"));
    }
    // Else systemctl asks after each stop what might start the unit again, to warn of it, for which the manager loads the unit anew.
    std::vector<std::string> stop = {"stop", "--quiet", "--"};
    stop.insert(stop.end(), names.begin(), names.end());
    for (const std::vector<std::string>& step :
         {std::vector<std::string>{"disable", std::string(kTargetUnit)}, stop}) {
      if (const auto done = manager->Systemctl(step); !done.ok()) {
        session.output.Error("service", std::string(done.status().message()),
                             "systemctl --user status 'auspex*' says which and why");
        return kExitFailure;
      }
    }
    for (const std::string& name : names) {
      if (absl::Status status = store.Remove(name); !status.ok()) return Failed(session, status);
    }
    if (const auto done = manager->Systemctl({"daemon-reload"}); !done.ok())
      return Failed(session, done.status());
    // A unit that failed is remembered. Most did not, and of those systemctl complains, having done the others.
    std::vector<std::string> forget = {"reset-failed", "--"};
    forget.insert(forget.end(), names.begin(), names.end());
    (void)manager->Systemctl(std::move(forget));
  }
  std::vector<std::string> left;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(store.folder(), error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("auspex")) left.push_back(name);
  }
  std::sort(left.begin(), left.end());
  if (output.json()) {
    JsonArray removed, remains;
    for (const std::string& name : names) removed.emplace_back(name);
    for (const std::string& name : left) remains.emplace_back(name);
    output.Json(JsonObject{
        {"folder", store.folder()}, {"removed", std::move(removed)}, {"left", std::move(remains)}});
    return kExitOk;
  }
  output.Line(names.empty() ? "no services are installed; nothing to do"
                            : Cat("stopped and removed ", names.size(), " units of ",
                                  Clean(store.folder()), "; the worker's state stays"));
  if (!left.empty()) output.Line(Cat("left, not written by this command: ", Clean(Joined(left))));
  return kExitOk;
}

int RunServiceStatus(Session& session) {
  const Output& output = session.output;
  const UnitStore store(UnitStore::FolderOf(ProcessEnvironment()));
  const absl::StatusOr<std::vector<Planned>> plan = Plan(session, store);
  if (!plan.ok()) {
    output.Error("service", plan.status());
    return kExitRefused;
  }
  const absl::StatusOr<UserManager> manager = UserManager::Find();
  if (!manager.ok()) return Failed(session, manager.status());
  std::vector<std::string> names;
  for (const Planned& planned : *plan) names.push_back(planned.unit.name);
  const auto shown = manager->Show(
      names, {"ActiveState", "SubState", "Result", "MainPID", "NRestarts", "StatusText"});
  if (!shown.ok()) return Failed(session, shown.status());

  const bool anothers = WhoseUnits(store, session.layout) == InstalledFor::kAnotherWorker;
  bool installed = !anothers, running = !anothers;
  JsonArray units;
  std::vector<std::vector<std::string>> rows;
  for (const Planned& planned : *plan) {
    const auto found = shown->find(planned.unit.name);
    const auto value = [&](const char* key) -> std::string {
      if (found == shown->end()) return "";
      const auto property = found->second.find(key);
      return property == found->second.end() ? "" : property->second;
    };
    installed = installed && planned.standing != Standing::kMissing;
    running = running && value("ActiveState") == "active";
    const std::string file = FileOf(planned.standing, anothers);
    units.emplace_back(JsonObject{{"unit", planned.unit.name},
                                  {"file", file},
                                  {"state", value("ActiveState")},
                                  {"sub_state", value("SubState")},
                                  {"result", value("Result")},
                                  {"pid", value("MainPID")},
                                  {"restarts", value("NRestarts")},
                                  {"status", value("StatusText")}});
    const std::string pid = value("MainPID");
    rows.push_back({planned.unit.name, file,
                    Cat(Clean(value("ActiveState")), " (", Clean(value("SubState")), ")"),
                    pid == "0" ? "" : Clean(pid), Clean(value("NRestarts")),
                    Clean(value("StatusText"))});
  }
  const std::optional<bool> lingers = UserManager::Lingers();
  if (output.json()) {
    output.Json(JsonObject{{"installed", installed},
                           {"running", running},
                           {"lingers", lingers ? JsonValue(*lingers) : JsonValue()},
                           {"folder", store.folder()},
                           {"units", std::move(units)}});
  } else {
    output.Table({"UNIT", "FILE", "STATE", "PROCESS", "RESTARTS", "SAYS"}, rows);
    if (anothers) output.Line(kOfAnother);
    if (lingers) {
      output.Line(*lingers ? "goes on after you log out"
                           : "stops when you log out (loginctl enable-linger)");
    }
  }
  return installed && running ? kExitOk : kExitFailure;
}

}  // namespace

void AddServiceVerbs(CLI::App& app, Chosen& chosen) {
  CLI::App* service = app.add_subcommand(
      "service", "The worker as services of your own service manager (systemctl --user)");
  service->require_subcommand(0, 1);

  auto install_options = std::make_shared<InstallOptions>();
  CLI::App* install = service->add_subcommand(
      "install", "Write the units, start the services, now and at each login");
  install->add_flag("--print,--dry-run", install_options->print,
                    "Show what would be written, and change nothing");
  install->add_flag("--force", install_options->force, "Overwrite units that somebody changed");
  install->footer(
      "Units go to ~/.config/systemd/user. Settings of your own belong beside them: systemctl\n"
      "--user edit auspex-runnerd. Called again it brings the units up to date and, when one\n"
      "changed, restarts all. Exit code 2: refused (changed units, another worker at work, no "
      "service "
      "manager).\n\n"
      "Examples: auspex service install --print\n"
      "          auspex service install\n"
      "          journalctl --user -f -u 'auspex-*'");
  Runs(install, chosen, install_options, RunInstall);

  auto uninstall_options = std::make_shared<UninstallOptions>();
  CLI::App* uninstall =
      service->add_subcommand("uninstall", "Stop the services and remove what install wrote");
  uninstall->add_flag("--force", uninstall_options->force, "Also units that were changed since");
  uninstall->footer(
      "The worker's state and key stay: auspex withdraw deletes them. Exit code 2: refused "
      "(changed\n"
      "units, another worker's, no service manager).\n\n"
      "Example: auspex service uninstall");
  Runs(uninstall, chosen, uninstall_options, RunUninstall);

  CLI::App* status = service->add_subcommand("status", "The state of each unit");
  status->footer(
      "Exit code 1: not installed, installed for another worker, or a unit does not run.\n\n"
      "Example: auspex service status --json");
  Runs(status, chosen, RunServiceStatus);
}

}  // namespace auspex::cli
