// SPDX-License-Identifier: AGPL-3.0-only
// HandlePool: the libcurl handles of one HttpClient. A handle is an easy handle with a multi handle
// of its own (which owns the kept connections); one call uses one handle at a time. Last returned,
// first lent, so that few calls at a time mean few connections. Safe from any thread; a Handle
// belongs to one thread while lent.
#ifndef AUSPEX_COMMON_HTTP_HANDLE_POOL_H_
#define AUSPEX_COMMON_HTTP_HANDLE_POOL_H_

#include <curl/curl.h>

#include <memory>
#include <mutex>
#include <vector>

namespace auspex {

struct Handle {
  Handle();
  ~Handle();
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  // Both set unless memory ran out.
  CURLM* multi = nullptr;
  CURL* easy = nullptr;
};

class HandlePool {
 public:
  // A kept handle or a new one; nullptr when memory ran out.
  std::unique_ptr<Handle> Take();
  // Keeps at most kMaxIdle handles.
  void Give(std::unique_ptr<Handle> handle);

 private:
  static constexpr size_t kMaxIdle = 8;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Handle>> idle_;
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_HTTP_HANDLE_POOL_H_
