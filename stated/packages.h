// SPDX-License-Identifier: AGPL-3.0-only
// PackageSpool: the way of a package from netd, which fetches it, to runnerd, which checks and
// installs it: a private file in <state>/spool named after the manifest. Nothing in it outlives the
// process. What the octets are is not judged here. Safe from any thread.
#ifndef AUSPEX_STATED_PACKAGES_H_
#define AUSPEX_STATED_PACKAGES_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"
#include "common/ids/ids.h"
#include "stated/context.h"
#include "stated/outbox.h"

namespace auspex::stated {

inline constexpr uint64_t kMaxPackageOctets = uint64_t{64} * 1024 * 1024;
// Packages on their way in at a time, which bounds what a netd gone astray can put on the disk.
// netd itself fetches fewer.
inline constexpr int kMaxIncoming = 8;

class PackageSpool {
 public:
  // One package on its way in. Without Finish it leaves nothing.
  class Incoming {
   public:
    ~Incoming();
    // RESOURCE_EXHAUSTED above 64 MiB or when the disk is full or fails.
    absl::Status Append(std::string_view octets);
    // Puts the file in place and settles the outbox item. NOT_FOUND, and nothing is left, when
    // nobody asks for the package any more.
    absl::Status Finish();

   private:
    friend class PackageSpool;
    Incoming(PackageSpool& spool, int64_t item, std::string partial, std::string final_path,
             UniqueFd fd)
        : spool_(spool),
          item_(item),
          partial_(std::move(partial)),
          final_(std::move(final_path)),
          fd_(std::move(fd)) {}
    PackageSpool& spool_;
    const int64_t item_;
    const std::string partial_, final_;
    UniqueFd fd_;
    uint64_t octets_ = 0;
    bool finished_ = false;
  };

  PackageSpool(Context& context, OutboxQueue& outbox, std::string folder)
      : context_(context), outbox_(outbox), folder_(std::move(folder)) {}
  // Makes the folder and empties it, and drops package items of an earlier process: nobody waits
  // for them.
  absl::Status Clean();

  // netd brings the package of outbox item `item`. NOT_FOUND when it is not asked for any more;
  // RESOURCE_EXHAUSTED when kMaxIncoming are on their way or the disk fails. The spool must outlive what comes back.
  absl::StatusOr<std::unique_ptr<Incoming>> Begin(int64_t item);

  // The spooled file of `manifest`, opened for reading; asks netd for it and waits when it is not
  // there. NOT_FOUND with the reason when it could not be had or when no unit in hand has this
  // manifest; DEADLINE_EXCEEDED after `patience`; CANCELLED when `gone` says so.
  absl::StatusOr<UniqueFd> Get(std::string_view untrusted_manifest, std::chrono::seconds patience,
                               const std::function<bool()>& gone);
  // Deletes the file; OK when there is none.
  absl::Status Drop(std::string_view untrusted_manifest);

  // Ends the waits for `manifest` with NOT_FOUND; for all manifests when it is empty.
  void Fail(const std::string& manifest, const std::string& why);

 private:
  struct Wait {
    int waiters = 0;
    uint64_t failures = 0;
    std::string why;
  };
  std::string PathOf(const std::string& manifest) const {
    return folder_ + "/" + manifest + ".tgz";
  }
  absl::StatusOr<UniqueFd> WaitFor(const Sha256Hex& manifest, std::chrono::seconds patience,
                                   const std::function<bool()>& gone, uint64_t failures_before);
  absl::Status Ask(const Sha256Hex& manifest);
  void Forget(const Sha256Hex& manifest);

  Context& context_;
  OutboxQueue& outbox_;
  const std::string folder_;
  mutable std::mutex mutex_;
  std::map<std::string, Wait> waits_;  // guarded by mutex_; manifests that somebody waits for
  uint64_t next_partial_ = 0;          // guarded by mutex_
  int incoming_ = 0;                   // guarded by mutex_; objects of Incoming that exist
};

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_PACKAGES_H_
