// SPDX-License-Identifier: AGPL-3.0-only
// PackageStore: from a manifest's hash to a verified package folder. Packages that were fetched
// live sealed (read-only modes) in a folder of ours and came there by one rename; packages that the
// owner staged stay where they are. Both are verified before every use: in full when anything about
// the tree changed since (PackageTree::fingerprint), else by the fingerprint alone. Safe from any
// thread; two units that need the same package fetch it once.
#ifndef AUSPEX_RUNNERD_PACKAGE_STORE_H_
#define AUSPEX_RUNNERD_PACKAGE_STORE_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "common/config/config.h"
#include "common/ids/ids.h"
#include "common/wire/manifest.h"
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

struct Package {
  std::string folder;  // absolute host path
  Manifest manifest;
};

class PackageStore {
 public:
  // Makes `<state_dir>/packages` and removes what an interrupted installation left there. The host
  // and source are lent.
  static absl::StatusOr<std::unique_ptr<PackageStore>> Open(const std::string& state_dir,
                                                            const SandboxHost& host,
                                                            ArchiveSource& source);

  // The package of `unit`, verified, or why not: executor_refused with the markers of wire
  // protocol 6.3.
  std::variant<Package, Refusal> Resolve(const Unit& unit, const Config& config,
                                         RunControl& control);

 private:
  struct Verified {
    std::string fingerprint;
    Manifest manifest;
  };
  PackageStore(std::string folder, const SandboxHost& host, ArchiveSource& source)
      : folder_(std::move(folder)), host_(host), source_(source) {}

  // The checks of 5.12 in order; the manifest when they pass. `pin_required`: fetched packages must
  // name their digest.
  absl::StatusOr<Manifest> Verify(const std::string& folder, const Sha256Hex& expected,
                                  bool pin_required);
  std::variant<Package, Refusal> FetchAndInstall(const Unit& unit, RunControl& control);
  // Unpacks into `scratch` within a sandbox of its own.
  absl::Status UnpackInSandbox(int archive_fd, const std::string& scratch, RunControl& control);
  absl::Status Seal(const std::string& folder, const Manifest& manifest);
  std::shared_ptr<std::timed_mutex> MutexOf(const Sha256Hex& manifest_sha256);

  const std::string folder_;
  const SandboxHost& host_;
  ArchiveSource& source_;
  std::mutex mutex_;                          // guards what follows
  std::map<std::string, Verified> verified_;  // by folder
  std::map<std::string, std::weak_ptr<std::timed_mutex>> fetching_;
  uint64_t next_scratch_ = 1;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_PACKAGE_STORE_H_
