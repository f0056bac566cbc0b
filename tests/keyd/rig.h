// SPDX-License-Identifier: AGPL-3.0-only
// What the tests of keyd's library share: a scratch folder, a clock that stands still until it is
// told, and a whole signing boundary in memory.
#ifndef AUSPEX_TESTS_KEYD_RIG_H_
#define AUSPEX_TESTS_KEYD_RIG_H_

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "keyd/custody.h"
#include "keyd/signing_boundary.h"
#include "tests/keyd/fault_folder.h"

namespace auspex::keyd {

// A folder of mode 0700 below the system's place for temporary files, removed with all its content
// at the end.
class ScratchDir {
 public:
  ScratchDir();
  ~ScratchDir();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class FakeClock : public Clock {
 public:
  int64_t NowMicros() const override { return now_; }
  int64_t MonotonicMicros() const override { return monotonic_; }
  void SetSeconds(int64_t seconds) { now_ = seconds * 1'000'000; }
  void AdvanceSeconds(int64_t seconds) {
    now_ += seconds * 1'000'000;
    monotonic_ += seconds * 1'000'000;
  }

 private:
  std::atomic<int64_t> now_{1'716'000'000'000'000}, monotonic_{5'000'000};
};

// The key of a seed of 64 hex digits; aborts the test program when it cannot be made.
SecretKey KeyOf(std::string_view seed_hex);
// A seed that tests use where any will do.
inline constexpr std::string_view kSomeSeed =
    "33f6089385685bdfee3d1ff168199693e102efe53e066ee1c8c135803cbabf3a";

inline constexpr const char* kSomeWorker = "wkr-Zk3v_Q9-aB1x";
// Of kSomeWorker.
Enrolment SomeEnrolment();

// All parts of keyd without its sockets.
struct Rig {
  // Without `key`, one of kSomeSeed; without `folder`, a journal in memory.
  explicit Rig(std::optional<Enrolment> enrolment = SomeEnrolment(),
               std::string_view seed_hex = kSomeSeed,
               std::unique_ptr<JournalFolder> folder = nullptr);

  // Every record there is.
  std::vector<JournalRecord> Records() const;

  FakeClock clock;
  AssignmentLedger ledger;
  CreatedClock created{clock};
  Rates rates{clock};
  std::unique_ptr<Journal> journal;
  std::unique_ptr<KeyRing> keys;
  Recorder recorder;
  Grants grants;
  SigningBoundary boundary;
  Custody custody;
};

inline constexpr Caller kNetd{Role::kRequest, 100, 1};
inline constexpr Caller kRunnerd{Role::kResult, 200, 2};
inline constexpr Caller kOwner{Role::kOwner, 300, 3};

// The id that the rig's key is enrolled as.
std::string WorkerOf(const Rig& rig);

// A request of `intent` with good values in all its fields.
UntrustedRequest GoodRequest(Intent intent);
UntrustedResult GoodResult();

}  // namespace auspex::keyd

#endif  // AUSPEX_TESTS_KEYD_RIG_H_
