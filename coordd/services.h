// SPDX-License-Identifier: AGPL-3.0-only
// Services: what a handler works with besides its request, and Context: the request as the router
// prepared it. Both are borrowed by handlers for the length of one call. The coordinator is
// single-threaded: everything here is used from the thread that runs the server.
#ifndef AUSPEX_COORDD_SERVICES_H_
#define AUSPEX_COORDD_SERVICES_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/json/value.h"
#include "coordd/caller.h"
#include "coordd/database.h"
#include "coordd/fake_idp.h"
#include "coordd/feature_schemas.h"
#include "coordd/http_message.h"
#include "coordd/maintainer_tokens.h"
#include "coordd/options.h"
#include "coordd/package_cache.h"
#include "coordd/rate_limiter.h"
#include "coordd/replay_cache.h"
#include "coordd/scan_cursors.h"
#include "coordd/signing_key.h"

namespace auspex::coordd {

struct Services {
  const Options& options;
  const Clock& clock;
  Database& db;
  const SigningKey& key;
  MaintainerTokens& tokens;
  RateLimiter limiter;
  ReplayCache replays;
  FakeIdp fake_idp;
  PackageCache packages;
  FeatureSchemas feature_schemas;
  ScanCursors cursors;
  // Tells held polls that work may exist, or that a hold changed. Set by the server; does nothing
  // without one.
  std::function<void()> work_changed = [] {};
};

struct Context {
  const Request& request;
  Caller caller;
  // The parsed body of a route that takes JSON; null when the body was empty.
  const JsonValue* body = nullptr;
  bool json_content_type = false;
  // The variable segments of the path, in order, already of their kinds (router.h).
  std::vector<std::string> path;
  int64_t now = 0;  // Unix microseconds, one value for the whole request

  // Segment `index` as its validated type; the router matched it against the same type.
  template <typename Id>
  Id PathId(size_t index) const {
    return Id::Parse(path.at(index)).value();
  }
};

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_SERVICES_H_
