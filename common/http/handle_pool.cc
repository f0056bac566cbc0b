// SPDX-License-Identifier: AGPL-3.0-only
#include "common/http/handle_pool.h"

#include <utility>

namespace auspex {

Handle::Handle() : multi(curl_multi_init()), easy(curl_easy_init()) {
  // A call talks to one host; a second place is for a login's provider.
  if (multi != nullptr) curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 2L);
}

Handle::~Handle() {
  if (easy != nullptr) curl_easy_cleanup(easy);
  if (multi != nullptr) curl_multi_cleanup(multi);
}

std::unique_ptr<Handle> HandlePool::Take() {
  {
    std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Handle> handle = std::move(idle_.back());
      idle_.pop_back();
      return handle;
    }
  }
  auto handle = std::make_unique<Handle>();
  if (handle->multi == nullptr || handle->easy == nullptr) return nullptr;
  return handle;
}

void HandlePool::Give(std::unique_ptr<Handle> handle) {
  std::lock_guard lock(mutex_);
  if (idle_.size() < kMaxIdle) idle_.push_back(std::move(handle));
  // Otherwise the parameter frees it when the call returns, after the lock is released.
}

}  // namespace auspex
