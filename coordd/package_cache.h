// SPDX-License-Identifier: AGPL-3.0-only
// PackageCache: the few archives that were last made for `GET /packages/by-manifest/...`, since a
// fleet asks for the same one many times. Bounded by octets; the oldest goes first. Not
// thread-safe.
#ifndef AUSPEX_COORDD_PACKAGE_CACHE_H_
#define AUSPEX_COORDD_PACKAGE_CACHE_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <utility>

namespace auspex::coordd {

class PackageCache {
 public:
  // The archive of `manifest_sha256`, or null.
  std::shared_ptr<const std::string> Find(const std::string& manifest_sha256) const {
    for (const auto& [key, archive] : entries_) {
      if (key == manifest_sha256) return archive;
    }
    return nullptr;
  }
  void Put(const std::string& manifest_sha256, std::shared_ptr<const std::string> archive) {
    octets_ += archive->size();
    entries_.emplace_back(manifest_sha256, std::move(archive));
    while (octets_ > kMaxOctets && entries_.size() > 1) {
      octets_ -= entries_.front().second->size();
      entries_.pop_front();
    }
  }

 private:
  static constexpr size_t kMaxOctets = 128u * 1024 * 1024;
  std::deque<std::pair<std::string, std::shared_ptr<const std::string>>> entries_;
  size_t octets_ = 0;
};

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_PACKAGE_CACHE_H_
