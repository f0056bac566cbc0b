// SPDX-License-Identifier: AGPL-3.0-only
// Every route of wire protocol section 5 that a worker signs, as a method and a path built from
// validated identifiers only. The one place that writes a path: keyd signs what these return and
// netd sends it. Pure functions, any thread.
#ifndef AUSPEX_COMMON_WIRE_ROUTES_H_
#define AUSPEX_COMMON_WIRE_ROUTES_H_

#include <string>
#include <string_view>

#include "common/ids/ids.h"

namespace auspex {

// A request line's two halves; `path` begins with "/api/v0" (the base URL's prefix is not in it).
struct Route {
  std::string_view method;  // "GET", "POST", "PUT"; static storage
  std::string path;
};

namespace routes {
// Unsigned calls.
Route Enroll();
Route OauthExchange();
// Signed calls, in the order of section 5.
Route Heartbeat(const WorkerId& worker);
Route Poll(const WorkerId& worker);
Route Refuse(const WorkerId& worker, const UnitId& unit);
Route SubmitResult(const WorkerId& worker, const UnitId& unit);
Route CanonicalReceipt(const WorkerId& worker, const ResultId& result);
Route Upgrade(const WorkerId& worker);
Route Retire(const WorkerId& worker);
Route Unbind(const WorkerId& worker);
Route GetAttribution(const AccountId& account);
Route PutAttribution(const AccountId& account);
Route PackageByManifest(const Sha256Hex& manifest);
Route Prestage(const WorkerId& worker);
Route SupportedModels();
Route ServeRecovered(const WorkerId& worker);
}  // namespace routes

}  // namespace auspex

#endif  // AUSPEX_COMMON_WIRE_ROUTES_H_
