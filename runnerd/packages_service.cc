// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/packages_service.h"

#include <dirent.h>

#include <algorithm>
#include <memory>

#include "common/base/cat.h"
#include "common/ipc/channel.h"
#include "common/wire/manifest.h"
#include "runnerd/package_tree.h"

namespace auspex::runnerd {
namespace {

constexpr size_t kMaxStaged = 1000;

// For whom the package is; nothing when its manifest cannot be read.
void PutOwner(int folder, v1::PackageInfo* info) {
  const absl::StatusOr<std::string> text = ReadInPackage(folder, "manifest.json", 1 << 20);
  if (!text.ok()) return;
  const absl::StatusOr<Manifest> manifest = ParseManifest(*text);
  if (!manifest.ok()) return;
  info->set_tenant_id(manifest->tenant_id.str());
  info->set_experiment_id(manifest->experiment_id.str());
}

void Put(const PackageShelf::Entry& entry, v1::PackageInfo* info) {
  info->set_manifest_sha256(entry.manifest_sha256);
  info->set_octets(entry.octets);
  info->set_used_at_unix_micros(entry.used_at_micros);
  info->set_in_use(entry.in_use);
}

std::vector<std::string> StagedIn(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> list(opendir(folder.c_str()), closedir);
  while (list != nullptr && names.size() < kMaxStaged) {
    const dirent* entry = readdir(list.get());
    if (entry == nullptr) break;
    const absl::StatusOr<Sha256Hex> name = Sha256Hex::Parse(entry->d_name);
    if (name.ok() && name->str() == entry->d_name) names.push_back(name->str());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

grpc::Status PackagesService::ListPackages(grpc::ServerContext*, const v1::ListPackagesRequest*,
                                           v1::ListPackagesResponse* response) {
  const absl::StatusOr<Config> config = load_config_();
  if (!config.ok()) return ToGrpc(config.status());
  response->set_cap_octets(static_cast<uint64_t>(config->packages_max_mb) << 20);
  for (const PackageShelf::Entry& entry : shelf_.List()) {
    v1::PackageInfo* info = response->add_packages();
    Put(entry, info);
    const absl::StatusOr<UniqueFd> folder =
        OpenPackage(shelf_.PathOf(*Sha256Hex::Parse(entry.manifest_sha256)));
    if (folder.ok()) PutOwner(folder->get(), info);
  }
  for (const std::string& name : StagedIn(config->provisioning_dir)) {
    const absl::StatusOr<UniqueFd> folder = OpenPackage(Cat(config->provisioning_dir, "/", name));
    if (!folder.ok()) continue;
    v1::PackageInfo* info = response->add_packages();
    info->set_manifest_sha256(name);
    info->set_staged(true);
    PutOwner(folder->get(), info);
    const absl::StatusOr<PackageTree> tree = ListPackage(folder->get());
    if (tree.ok()) info->set_octets(tree->disk_octets);
  }
  return grpc::Status::OK;
}

grpc::Status PackagesService::RemovePackage(grpc::ServerContext*,
                                            const v1::RemovePackageRequest* request,
                                            v1::RemovePackageResponse* response) {
  const absl::StatusOr<Sha256Hex> sha = Sha256Hex::Parse(request->manifest_sha256());
  if (!sha.ok()) return ToGrpc(sha.status());
  absl::StatusOr<PackageShelf::Entry> gone = shelf_.Remove(*sha, "owner");
  if (absl::IsNotFound(gone.status())) {
    const absl::StatusOr<Config> config = load_config_();
    if (config.ok() && OpenPackage(Cat(config->provisioning_dir, "/", sha->str())).ok()) {
      return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION,
                          Cat("package ", sha->str(), " is staged: remove its folder in ",
                              config->provisioning_dir, " yourself"));
    }
  }
  if (!gone.ok()) return ToGrpc(gone.status());
  response->set_octets(gone->octets);
  return grpc::Status::OK;
}

grpc::Status PackagesService::CollectPackages(grpc::ServerContext*,
                                              const v1::CollectPackagesRequest* request,
                                              v1::CollectPackagesResponse* response) {
  const absl::StatusOr<Config> config = load_config_();
  if (!config.ok()) return ToGrpc(config.status());
  const uint64_t cap = request->all() ? 0 : static_cast<uint64_t>(config->packages_max_mb) << 20;
  for (const PackageShelf::Entry& entry : shelf_.Collect(cap)) Put(entry, response->add_removed());
  uint64_t left = 0;
  for (const PackageShelf::Entry& entry : shelf_.List()) left += entry.octets;
  response->set_octets_left(left);
  return grpc::Status::OK;
}

}  // namespace auspex::runnerd
