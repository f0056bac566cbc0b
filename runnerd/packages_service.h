// SPDX-License-Identifier: AGPL-3.0-only
// PackagesService: the owner's view of the packages (role "owner"), translated to the shelf. Safe
// from any thread.
#ifndef AUSPEX_RUNNERD_PACKAGES_SERVICE_H_
#define AUSPEX_RUNNERD_PACKAGES_SERVICE_H_

#include <functional>

#include "auspex/runnerd/v1/runnerd.grpc.pb.h"
#include "common/config/config.h"
#include "runnerd/package_shelf.h"

namespace auspex::runnerd {

class PackagesService final : public v1::Packages::Service {
 public:
  // The shelf is lent.
  PackagesService(PackageShelf& shelf, std::function<absl::StatusOr<Config>()> load_config)
      : shelf_(shelf), load_config_(std::move(load_config)) {}

  grpc::Status ListPackages(grpc::ServerContext*, const v1::ListPackagesRequest*,
                            v1::ListPackagesResponse* response) override;
  grpc::Status RemovePackage(grpc::ServerContext*, const v1::RemovePackageRequest* request,
                             v1::RemovePackageResponse* response) override;
  grpc::Status CollectPackages(grpc::ServerContext*, const v1::CollectPackagesRequest* request,
                               v1::CollectPackagesResponse* response) override;

 private:
  PackageShelf& shelf_;
  const std::function<absl::StatusOr<Config>()> load_config_;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_PACKAGES_SERVICE_H_
