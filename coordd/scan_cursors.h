// SPDX-License-Identifier: AGPL-3.0-only
// ScanCursors: remembers, per worker and experiment, up to which unit (by key) there is nothing new
// for that worker, so that a poll does not walk again over units that the worker has already had. A
// hint only: losing it costs time, and it is dropped whenever a place is given back, which is the
// one event that makes an earlier unit eligible. In memory. Not thread-safe.
#ifndef AUSPEX_COORDD_SCAN_CURSORS_H_
#define AUSPEX_COORDD_SCAN_CURSORS_H_

#include <cstdint>
#include <map>
#include <utility>

namespace auspex::coordd {

class ScanCursors {
 public:
  // The key of the last unit that need not be looked at; 0 at first.
  int64_t Get(int64_t worker, int64_t experiment) const {
    const auto it = cursors_.find({worker, experiment});
    return it == cursors_.end() ? 0 : it->second;
  }
  void Set(int64_t worker, int64_t experiment, int64_t unit) {
    if (cursors_.size() > kMaxEntries) cursors_.clear();
    cursors_[{worker, experiment}] = unit;
  }
  // A place was given back, or a transaction was undone.
  void Reset() { cursors_.clear(); }

 private:
  static constexpr size_t kMaxEntries = 100'000;
  std::map<std::pair<int64_t, int64_t>, int64_t> cursors_;
};

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_SCAN_CURSORS_H_
