// SPDX-License-Identifier: AGPL-3.0-only
// ReplayCache: remembers verified signatures for as long as their window is open. Off by default,
// since the protocol lets a signed request be repeated (coordinator 17, oddity 1). Not thread-safe.
#ifndef AUSPEX_COORDD_REPLAY_CACHE_H_
#define AUSPEX_COORDD_REPLAY_CACHE_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace auspex::coordd {

class ReplayCache {
 public:
  // True when `signature` was not seen before; remembers it until `expires_micros`.
  bool FirstUse(const std::string& signature, int64_t expires_micros, int64_t now_micros) {
    while (!by_expiry_.empty() && by_expiry_.begin()->first < now_micros) {
      seen_.erase(by_expiry_.begin()->second);
      by_expiry_.erase(by_expiry_.begin());
    }
    if (!seen_.insert(signature).second) return false;
    by_expiry_.emplace(expires_micros, signature);
    return true;
  }

 private:
  std::set<std::string> seen_;
  std::multimap<int64_t, std::string> by_expiry_;
};

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_REPLAY_CACHE_H_
