// SPDX-License-Identifier: AGPL-3.0-only
// Changes: tells waiting streams that something they look at has changed. Each topic has a version
// that grows; a stream remembers the version that it has looked at and waits for a newer one, so
// that no change is missed and none is polled for. Safe from any thread.
#ifndef AUSPEX_STATED_CHANGES_H_
#define AUSPEX_STATED_CHANGES_H_

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <initializer_list>
#include <mutex>

namespace auspex::stated {

enum class Topic {
  kWork,       // units, the owner's pause
  kOutbox,     // items, holds
  kDemand,     // anything that Demand shows
  kStatus,     // anything that Status shows
  kPackages,   // a package arrived or failed
  kSlotFreed,  // netd may ask for work at once; its version is Demand's generation
};
inline constexpr size_t kTopics = 6;

class Changes {
 public:
  // Marks `topics` as changed and wakes who waits.
  void Notify(std::initializer_list<Topic> topics) {
    const std::lock_guard lock(mutex_);
    for (const Topic topic : topics) ++versions_[static_cast<size_t>(topic)];
    wake_.notify_all();
  }
  uint64_t Version(Topic topic) const {
    const std::lock_guard lock(mutex_);
    return versions_[static_cast<size_t>(topic)];
  }
  // Waits until `topic` is newer than `seen`, at most `timeout`, or until Stop. Returns the version
  // then.
  uint64_t Wait(Topic topic, uint64_t seen, std::chrono::microseconds timeout) const {
    std::unique_lock lock(mutex_);
    const uint64_t& version = versions_[static_cast<size_t>(topic)];
    wake_.wait_for(lock, timeout, [&] { return version != seen || stopped_; });
    return version;
  }
  // Ends all waiting, for good.
  void Stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    wake_.notify_all();
  }
  bool stopped() const {
    const std::lock_guard lock(mutex_);
    return stopped_;
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable wake_;
  std::array<uint64_t, kTopics> versions_{};  // guarded by mutex_
  bool stopped_ = false;                      // guarded by mutex_
};

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_CHANGES_H_
