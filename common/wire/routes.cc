// SPDX-License-Identifier: AGPL-3.0-only
#include "common/wire/routes.h"

#include "common/base/cat.h"

namespace auspex::routes {
namespace {

// Identifiers go in as they are: their types admit only characters that need no percent-encoding
// (2.4).
std::string OfWorker(const WorkerId& worker, std::string_view rest) {
  return Cat("/api/v0/workers/", worker.str(), rest);
}

std::string OfAssignment(const WorkerId& worker, const UnitId& unit, std::string_view rest) {
  return Cat("/api/v0/workers/", worker.str(), "/assignments/", unit.str(), rest);
}

std::string Attribution(const AccountId& account) {
  return Cat("/api/v0/accounts/", account.str(), "/attribution");
}

}  // namespace

Route Enroll() { return {"POST", "/api/v0/workers/enroll"}; }
Route OauthExchange() { return {"POST", "/api/v0/accounts/oauth/exchange"}; }

Route Heartbeat(const WorkerId& worker) { return {"POST", OfWorker(worker, "/heartbeat")}; }
Route Poll(const WorkerId& worker) { return {"GET", OfWorker(worker, "/assignments")}; }
Route Refuse(const WorkerId& worker, const UnitId& unit) {
  return {"POST", OfAssignment(worker, unit, "/refuse")};
}
Route SubmitResult(const WorkerId& worker, const UnitId& unit) {
  return {"POST", OfAssignment(worker, unit, "/result")};
}
Route CanonicalReceipt(const WorkerId& worker, const ResultId& result) {
  return {"GET", OfWorker(worker, Cat("/results/", result.str(), "/canonical-receipt"))};
}
Route Upgrade(const WorkerId& worker) { return {"POST", OfWorker(worker, "/upgrade")}; }
Route Retire(const WorkerId& worker) { return {"POST", OfWorker(worker, "/actions/retire")}; }
Route Unbind(const WorkerId& worker) { return {"POST", OfWorker(worker, "/actions/unbind")}; }
Route GetAttribution(const AccountId& account) { return {"GET", Attribution(account)}; }
Route PutAttribution(const AccountId& account) { return {"PUT", Attribution(account)}; }
Route PackageByManifest(const Sha256Hex& manifest) {
  return {"GET", Cat("/api/v0/packages/by-manifest/", manifest.str())};
}
Route Prestage(const WorkerId& worker) { return {"GET", OfWorker(worker, "/prestage")}; }
Route SupportedModels() { return {"GET", "/api/v0/models/supported"}; }
Route ServeRecovered(const WorkerId& worker) {
  return {"POST", OfWorker(worker, "/serve-recovered")};
}

}  // namespace auspex::routes
