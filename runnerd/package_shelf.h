// SPDX-License-Identifier: AGPL-3.0-only
// PackageShelf: the folder of installed packages: what is on it, when each was used last, what
// makes room for the next. Judges no content. A package that is taken is held by a shared lock
// (flock) on its folder for as long as the descriptor lives, whoever has a copy of it; nothing that
// is held is removed. Removals begin with one rename to a scratch name, so a crash leaves either a
// whole package or something that the next start clears away. Safe from any thread.
#ifndef AUSPEX_RUNNERD_PACKAGE_SHELF_H_
#define AUSPEX_RUNNERD_PACKAGE_SHELF_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"
#include "common/ids/ids.h"

namespace auspex::runnerd {

class PackageShelf {
 public:
  struct Entry {
    std::string manifest_sha256;  // 64 lower-case hex digits
    uint64_t octets = 0;          // on the disk
    int64_t used_at_micros = 0;   // last use, or the installation; survives a restart
    bool in_use = false;          // only filled by List
  };

  // Makes `<state_dir>/packages` and `<state_dir>/package-marks`, and clears away what an
  // interrupted installation or removal left.
  static absl::StatusOr<std::unique_ptr<PackageShelf>> Open(const std::string& state_dir);

  // Where the package lies or would lie.
  std::string PathOf(const Sha256Hex& manifest_sha256) const;
  // The package's folder, held, and noted as used now. NOT_FOUND when it is not there.
  absl::StatusOr<UniqueFd> Take(const Sha256Hex& manifest_sha256);
  // The manifest.json.sig that came with it; empty when none did.
  absl::StatusOr<std::string> Signature(const Sha256Hex& manifest_sha256) const;

  // A name on the shelf that is cleared away at the next start.
  std::string NewScratch();
  // Puts the sealed folder `scratch`, which takes `octets`, on the shelf, after removing what was
  // not used for longest until all together take at most `cap_octets`. The folder, held.
  // INVALID_ARGUMENT when it is larger than the cap alone, RESOURCE_EXHAUSTED when the packages in
  // use leave no room.
  absl::StatusOr<UniqueFd> Put(const Sha256Hex& manifest_sha256, const std::string& scratch,
                               uint64_t octets, uint64_t cap_octets, std::string_view signature);
  // Removes what was not used for longest until at most `cap_octets` are taken or all that is left
  // is in use. What went. Cheap when there is nothing to do.
  std::vector<Entry> Collect(uint64_t cap_octets);
  // NOT_FOUND; FAILED_PRECONDITION when a unit uses it. `why` is for the log.
  absl::StatusOr<Entry> Remove(const Sha256Hex& manifest_sha256, std::string_view why);

  // The one that was not used for longest first.
  std::vector<Entry> List() const;

 private:
  PackageShelf(std::string folder, std::string marks)
      : folder_(std::move(folder)), marks_(std::move(marks)) {}
  absl::Status Load();
  std::string NewScratchLocked();
  std::string MarkOf(const std::string& sha) const;
  bool InUseLocked(const std::string& sha) const;
  absl::Status RemoveLocked(const std::string& sha, std::string_view why);
  std::vector<Entry> OldestFirstLocked() const;
  std::vector<Entry> CollectLocked(uint64_t cap_octets);

  const std::string folder_, marks_;
  mutable std::mutex mutex_;  // guards what follows, and what is done to the folder
  std::map<std::string, Entry> entries_;
  uint64_t total_ = 0;  // octets of all entries
  uint64_t next_scratch_ = 1;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_PACKAGE_SHELF_H_
