// SPDX-License-Identifier: AGPL-3.0-only
// packages: the tenants' packages that this worker has, and their removal.
#include "cli/output/since.h"
#include "cli/verbs/arguments.h"
#include "cli/worker.h"
#include "common/base/cat.h"

namespace auspex::cli {
namespace {

struct RemoveOptions {
  std::string manifest;
};
struct CollectOptions {
  bool all = false;
};

// "12.3 MiB"; tenths, rounded up, so that something is never nothing.
std::string Mib(uint64_t octets) {
  const uint64_t tenths = (octets * 10 + (1 << 20) - 1) >> 20;
  return Cat(tenths / 10, ".", tenths % 10, " MiB");
}

JsonObject ToJson(const runnerd_v1::PackageInfo& package) {
  return JsonObject{
      {"manifest_sha256", package.manifest_sha256()},
      {"octets", package.octets()},
      {"used_at",
       package.staged() ? JsonValue() : JsonValue(ShowTime(package.used_at_unix_micros()))},
      {"in_use", package.in_use()},
      {"staged", package.staged()},
      {"tenant_id", package.tenant_id()},
      {"experiment_id", package.experiment_id()}};
}

// runnerd alone: without stated it is given no unit meanwhile.
template <typename Answer>
absl::StatusOr<Answer> Ask(Worker& worker, const std::function<absl::StatusOr<Answer>()>& call) {
  const absl::Status need = worker.Need({"runnerd"});
  return need.ok() ? call() : absl::StatusOr<Answer>(need);
}

int RunList(Session& session) {
  const Output& output = session.output;
  Worker worker(session);
  const auto list =
      Ask<runnerd_v1::ListPackagesResponse>(worker, [&] { return worker->ListPackages(); });
  if (!list.ok()) {
    output.Error("packages", list.status());
    return kExitFailure;
  }
  uint64_t installed = 0;
  JsonArray entries;
  std::vector<std::vector<std::string>> rows;
  for (const runnerd_v1::PackageInfo& package : list->packages()) {
    if (!package.staged()) installed += package.octets();
    entries.emplace_back(ToJson(package));
    rows.push_back({Clean(package.manifest_sha256()), Clean(package.tenant_id()),
                    Clean(package.experiment_id()), Mib(package.octets()),
                    package.staged()   ? "staged"
                    : package.in_use() ? "in use"
                                       : ShowTime(package.used_at_unix_micros())});
  }
  if (output.json()) {
    output.Json(JsonObject{{"packages", std::move(entries)},
                           {"installed_octets", installed},
                           {"cap_octets", list->cap_octets()}});
    return kExitOk;
  }
  if (!rows.empty()) output.Table({"MANIFEST", "TENANT", "EXPERIMENT", "SIZE", "LAST USED"}, rows);
  output.Line(Cat("installed: ", Mib(installed), " of ", Mib(list->cap_octets()),
                  " (provisioning.packages_max_mb)"));
  return kExitOk;
}

int RunRemove(Session& session, const RemoveOptions& options) {
  const Output& output = session.output;
  Worker worker(session);
  const auto removed = Ask<runnerd_v1::RemovePackageResponse>(
      worker, [&] { return worker->RemovePackage(options.manifest); });
  if (!removed.ok()) {
    output.Error("packages", removed.status());
    return kExitFailure;
  }
  if (output.json()) {
    output.Json(JsonObject{{"manifest_sha256", options.manifest}, {"octets", removed->octets()}});
  } else {
    output.Line(Cat("removed ", options.manifest, " (", Mib(removed->octets()), ")"));
  }
  return kExitOk;
}

int RunCollect(Session& session, const CollectOptions& options) {
  const Output& output = session.output;
  Worker worker(session);
  const auto collected = Ask<runnerd_v1::CollectPackagesResponse>(
      worker, [&] { return worker->CollectPackages(options.all); });
  if (!collected.ok()) {
    output.Error("packages", collected.status());
    return kExitFailure;
  }
  if (output.json()) {
    JsonArray removed;
    for (const runnerd_v1::PackageInfo& package : collected->removed())
      removed.emplace_back(package.manifest_sha256());
    output.Json(
        JsonObject{{"removed", std::move(removed)}, {"octets_left", collected->octets_left()}});
    return kExitOk;
  }
  for (const runnerd_v1::PackageInfo& package : collected->removed()) {
    output.Line(Cat("removed ", Clean(package.manifest_sha256()), " (", Mib(package.octets()),
                    ", last used ", ShowTime(package.used_at_unix_micros()), ")"));
  }
  output.Line(Cat("installed: ", Mib(collected->octets_left())));
  return kExitOk;
}

}  // namespace

void AddPackageVerbs(CLI::App& app, Chosen& chosen) {
  CLI::App* packages = app.add_subcommand("packages", "The tenants' packages on this machine");
  packages->require_subcommand(0, 1);
  CLI::App* list = packages->add_subcommand(
      "list", "Installed packages, the longest unused first, and staged ones");
  list->footer("Example: auspex packages list --json");
  Runs(list, chosen, RunList);

  auto remove_options = std::make_shared<RemoveOptions>();
  CLI::App* remove = packages->add_subcommand("remove", "Remove an installed package");
  remove->add_option("manifest", remove_options->manifest, "SHA-256 of its manifest")
      ->required()
      ->check(IsA<Sha256Hex>("SHA256"));
  remove->footer(
      "It is fetched again when a unit needs it. Exit code 1 when it is not installed, a unit uses "
      "it,\nor it is staged: staged packages are the owner's own.\n\n"
      "Example: auspex packages remove "
      "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
  Runs(remove, chosen, remove_options, RunRemove);

  auto collect_options = std::make_shared<CollectOptions>();
  CLI::App* collect = packages->add_subcommand(
      "gc", "Remove the longest unused packages down to provisioning.packages_max_mb");
  collect->add_flag("--all", collect_options->all, "All installed packages that no unit uses");
  collect->footer("Example: auspex packages gc --all");
  Runs(collect, chosen, collect_options, RunCollect);
}

}  // namespace auspex::cli
