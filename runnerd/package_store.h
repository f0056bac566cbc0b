// SPDX-License-Identifier: AGPL-3.0-only
// PackageStore: from a manifest's hash to a verified package folder. Packages that were fetched
// live sealed (SealPackage) on a shelf of ours and came there by one rename; packages that the owner
// staged stay where they are. Both are verified before every use, through the descriptor that the
// unit's sandbox is then given: in full when anything about the tree changed since
// (PackageTree::fingerprint), else by the fingerprint alone. Safe from any thread; two units that
// need the same package fetch it once.
#ifndef AUSPEX_RUNNERD_PACKAGE_STORE_H_
#define AUSPEX_RUNNERD_PACKAGE_STORE_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "common/base/unique_fd.h"
#include "common/config/config.h"
#include "common/ids/ids.h"
#include "common/wire/manifest.h"
#include "runnerd/package_shelf.h"
#include "runnerd/run_control.h"
#include "runnerd/sandbox_host.h"
#include "runnerd/unit.h"

namespace auspex::runnerd {

// Where archives come from: stated's spool. Implementations are safe from any thread.
class ArchiveSource {
 public:
  virtual ~ArchiveSource() = default;
  // Writes the archive to `fd`. Any failure means that it cannot be had now; CANCELLED when
  // `control` asked for the end.
  virtual absl::Status Fetch(const Sha256Hex& manifest_sha256, int fd, RunControl& control) = 0;
  // The archive is installed or useless.
  virtual void Drop(const Sha256Hex& manifest_sha256) = 0;
};

// A verified package. What was checked is what `folder` shows, under whatever name by now; it stays
// on the shelf as long as the descriptor lives.
struct Package {
  UniqueFd folder;
  Manifest manifest;
};

class PackageStore {
 public:
  // The host and source are lent. See PackageShelf::Open for what is made and cleared away.
  static absl::StatusOr<std::unique_ptr<PackageStore>> Open(const std::string& state_dir,
                                                            const SandboxHost& host,
                                                            ArchiveSource& source);

  // The package of `unit`, verified, or why not: executor_refused with the markers of wire
  // protocol 6.3.
  std::variant<Package, Refusal> Resolve(const Unit& unit, const Config& config,
                                         RunControl& control);

  // What is installed, for the owner.
  PackageShelf& shelf() { return *shelf_; }
  // Octets of the manifests that are kept in memory with what was verified; bounded.
  size_t RememberedOctets() const;

 private:
  struct Verified {
    std::string fingerprint;
    Manifest manifest;
  };
  PackageStore(std::unique_ptr<PackageShelf> shelf, std::string folder, const SandboxHost& host,
               ArchiveSource& source)
      : shelf_(std::move(shelf)), folder_(std::move(folder)), host_(host), source_(source) {}

  // The checks of 5.12 in order, after the one that nobody else may change what is checked; the
  // manifest when they pass. `name` is what the result is
  // remembered under; `pin_required`: fetched packages must name their digest.
  absl::StatusOr<Manifest> Verify(int folder, const std::string& name, const Sha256Hex& expected,
                                  bool pin_required);
  std::variant<Package, Refusal> TakeStaged(UniqueFd folder, const std::string& name,
                                            const Unit& unit, const Config& config);
  // NOT_FOUND when it is not installed, or was damaged and is not any more.
  absl::StatusOr<Package> TakeInstalled(const Unit& unit, const Config& config);
  absl::StatusOr<Package> FetchAndInstall(const Unit& unit, const Config& config,
                                          RunControl& control);
  absl::StatusOr<Package> Install(int archive_fd, const std::string& scratch, const Unit& unit,
                                  const Config& config, RunControl& control);
  // Unpacks in a sandbox of its own, and writes into `scratch_fd` what comes out of it.
  absl::Status UnpackInSandbox(int archive_fd, int scratch_fd, RunControl& control);
  std::shared_ptr<std::timed_mutex> MutexOf(const Sha256Hex& manifest_sha256);

  const std::unique_ptr<PackageShelf> shelf_;
  const std::string folder_;
  const SandboxHost& host_;
  ArchiveSource& source_;
  mutable std::mutex mutex_;                  // guards what follows
  std::map<std::string, Verified> verified_;  // by name
  size_t remembered_octets_ = 0;              // text of the manifests in verified_
  std::map<std::string, std::weak_ptr<std::timed_mutex>> fetching_;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_PACKAGE_STORE_H_
