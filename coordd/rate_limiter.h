// SPDX-License-Identifier: AGPL-3.0-only
// RateLimiter: counts calls per key in fixed windows, in memory (coordinator 14.6). Bounded: when
// it holds too many keys, ended windows are dropped. Not thread-safe.
#ifndef AUSPEX_COORDD_RATE_LIMITER_H_
#define AUSPEX_COORDD_RATE_LIMITER_H_

#include <cstdint>
#include <map>
#include <string>

namespace auspex::coordd {

class RateLimiter {
 public:
  // Whether one more call of `key` fits into `limit` calls per `window_micros`; counts it when it
  // does.
  bool Allow(const std::string& key, int limit, int64_t window_micros, int64_t now_micros) {
    if (windows_.size() > kMaxKeys) {
      std::erase_if(windows_, [&](const auto& item) { return item.second.ends <= now_micros; });
      if (windows_.size() > kMaxKeys) return false;
    }
    Window& window = windows_[key];
    if (window.ends <= now_micros) window = {.ends = now_micros + window_micros, .count = 0};
    if (window.count >= limit) return false;
    ++window.count;
    return true;
  }

 private:
  static constexpr size_t kMaxKeys = 100'000;
  struct Window {
    int64_t ends = 0;
    int count = 0;
  };
  std::map<std::string, Window> windows_;
};

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_RATE_LIMITER_H_
