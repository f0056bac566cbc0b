// SPDX-License-Identifier: AGPL-3.0-only
// Hardening: the layers between keyd and the rest of the machine, put in place and verified in order. A layer that cannot be put
// in place refuses the start, unless the owner's configuration names it (keyd.accept_missing_hardening); it is then told by
// every status for as long as keyd runs.
//
//   before the key is read   locked-memory, undumped-key-pages, no-dump, core-limit, no-new-privileges, only-unix-sockets,
//                            deny-exec, landlock
//   after the servers run    seccomp
//
// Each is verified by looking at what the kernel keeps or by trying what it denies, never by a return value alone. One object,
// owned by main; Before and After from the main thread, layers() from any.
#ifndef AUSPEX_KEYD_HARDENING_H_
#define AUSPEX_KEYD_HARDENING_H_

#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/harden/harden.h"

namespace auspex::keyd {

class Hardening {
 public:
  struct Layer {
    std::string name;
    bool in_force = false;
    bool accepted_missing = false;  // not in force, and the owner said that it may be so
    std::string detail;             // what was verified, or the cause
  };

  // The words that the configuration may name, in the order in which they are put in place.
  static const std::vector<std::string>& Words();
  // INVALID_ARGUMENT when `accepted` has a word that is no layer; names the known ones.
  absl::Status Accept(const std::vector<std::string>& accepted);

  // All layers but the last. Before there are threads: file rules hold for a thread and its children. `rules` is what Landlock
  // leaves. FAILED_PRECONDITION naming layer, cause and configuration key.
  absl::Status BeforeTheKey(const FileRules& rules);
  // The list of system calls (keyd/syscalls.cc), for all threads. Errors as above.
  absl::Status WhenServing();

  std::vector<Layer> layers() const;

 private:
  absl::Status Note(std::string_view name, const absl::Status& status, std::string verified);

  std::set<std::string, std::less<>> accepted_;
  mutable std::mutex mutex_;
  std::vector<Layer> layers_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_HARDENING_H_
