// SPDX-License-Identifier: AGPL-3.0-only
// The table of routes: method, path pattern, body form, who may call, handler. What is not in the
// table cannot be asked. Patterns name the kind of each variable segment; a segment that is not of
// its kind does not match. Immutable, any thread.
#ifndef AUSPEX_COORDD_ROUTER_H_
#define AUSPEX_COORDD_ROUTER_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coordd/http_message.h"
#include "coordd/services.h"

namespace auspex::coordd {

enum class BodyForm {
  kNone,  // ignored
  kJson,  // a JSON value; anything else is 422 before authentication
  kRaw,   // left to the handler
};

// Who gets past the router (coordinator section 4).
enum class Access {
  kAnyone,
  kWorker,      // some worker
  kWorkerSelf,  // the worker that the first segment names
  kWorkerSelfOrMaintainer,
  kResearcher,
  kResearcherOrMaintainer,
  kMaintainer,
};

using Handler = Reply (*)(Services&, const Context&);

struct RouteEntry {
  std::string_view method;
  std::string_view pattern;  // after "/api/v0/", e.g. "workers/{worker}/heartbeat"
  BodyForm body;
  Access access;
  Handler handler;
};

struct RouteMatch {
  const RouteEntry* route = nullptr;  // null: the path exists but not with this method
  std::vector<std::string> path;      // variable segments
};

// nullopt when no pattern fits the path.
std::optional<RouteMatch> MatchRoute(std::string_view method, std::string_view path);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_ROUTER_H_
