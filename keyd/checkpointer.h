// SPDX-License-Identifier: AGPL-3.0-only
// Checkpointer: signs the journal's state from time to time, and begins new segments. A checkpoint
// is a signature like any other: recorded, durable, then signed, then written to the journal itself.
// It is made when asked for, and by a thread of its own when the journal says that it is due: no
// record waits longer than `longest_uncovered` for one. Safe from any thread; what it is given
// outlives it.
#ifndef AUSPEX_KEYD_CHECKPOINTER_H_
#define AUSPEX_KEYD_CHECKPOINTER_H_

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "keyd/journal.h"
#include "keyd/key_ring.h"

namespace auspex::keyd {

// keyd on its own account.
inline constexpr Caller kSelf{Role::kSelf, 0, 0};

// How long a record waits for its checkpoint: what who can write keyd's folder may cut off unseen.
inline constexpr std::chrono::milliseconds kLongestUncovered = std::chrono::minutes(1);

class Checkpointer {
 public:
  Checkpointer(Journal& journal, const KeyRing& keys, const Clock& clock,
               std::chrono::milliseconds longest_uncovered = kLongestUncovered)
      : journal_(journal), keys_(keys), clock_(clock), longest_uncovered_(longest_uncovered) {}
  // Stops the thread.
  ~Checkpointer();
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

  struct Signed {
    std::string note;
    uint64_t sequence = 0;  // the record of this signature
  };
  // Signs the journal as it is now. FAILED_PRECONDITION without a key (nothing is recorded then),
  // or when the key was changed meanwhile; UNAVAILABLE as Journal::Append.
  absl::StatusOr<Signed> Sign(const Caller& caller);
  // The same on keyd's own account, if there is a key and if there are records that the newest
  // checkpoint does not cover, its own record left aside.
  absl::Status SignIfGrown();
  // What the thread does when `due`: a checkpoint if there is a key, a rotation if wanted.
  absl::Status Do(const Journal::Due& due);

  // Starts the thread; its failures are logged, and the journal's OnFailure says the rest.
  void Start();
  // Ends the thread and all waits for the journal. Calls of Sign go on to work.
  void Stop();

 private:
  absl::StatusOr<Signed> SignLocked(const Caller& caller);
  absl::Status SignIfGrownLocked();
  void Run();

  Journal& journal_;
  const KeyRing& keys_;
  const Clock& clock_;
  const std::chrono::milliseconds longest_uncovered_;
  std::mutex mutex_;  // one checkpoint or rotation at a time
  std::thread thread_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_CHECKPOINTER_H_
