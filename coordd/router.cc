// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/router.h"

#include "common/ids/ids.h"
#include "coordd/handlers.h"

namespace auspex::coordd {
namespace {

using enum BodyForm;
using enum Access;

constexpr std::string_view kPrefix = "/api/v0/";

constexpr RouteEntry kRoutes[] = {
    {"POST", "workers/enroll", kJson, kAnyone, HandleEnroll},
    {"GET", "workers", kNone, kMaintainer, HandleListWorkers},
    {"GET", "workers/{worker}", kNone, kWorkerSelfOrMaintainer, HandleGetWorker},
    {"POST", "workers/{worker}/heartbeat", kJson, kWorkerSelf, HandleHeartbeat},
    {"POST", "workers/{worker}/upgrade", kJson, kWorkerSelf, HandleUpgrade},
    {"POST", "workers/{worker}/actions/unbind", kNone, kWorkerSelfOrMaintainer, HandleUnbind},
    {"POST", "workers/{worker}/actions/retire", kNone, kWorkerSelfOrMaintainer, HandleRetire},
    {"POST", "workers/{worker}/actions/quarantine", kJson, kMaintainer, HandleQuarantine},
    {"POST", "workers/{worker}/actions/unquarantine", kNone, kMaintainer, HandleUnquarantine},
    {"POST", "workers/{worker}/actions/pause", kJson, kMaintainer, HandlePause},
    {"POST", "workers/{worker}/actions/unpause", kNone, kMaintainer, HandleUnpause},
    {"GET", "workers/{worker}/assignments", kNone, kWorkerSelf, HandlePoll},
    {"POST", "workers/{worker}/assignments/{unit}/result", kJson, kWorkerSelf, HandleResult},
    {"POST", "workers/{worker}/assignments/{unit}/refuse", kJson, kWorkerSelf, HandleRefuse},
    {"POST", "workers/{worker}/serve-recovered", kJson, kWorkerSelf, HandleServeRecovered},
    {"GET", "workers/{worker}/prestage", kNone, kWorkerSelf, HandlePrestage},
    {"GET", "workers/{worker}/results/{result}/canonical-receipt", kNone, kWorkerSelfOrMaintainer,
     HandleCanonicalReceipt},
    {"GET", "workers/{worker}/receipts", kNone, kWorkerSelfOrMaintainer, HandleListReceipts},
    {"POST", "receipts/verify", kJson, kAnyone, HandleVerifyReceipt},
    {"GET", "receipts/{receipt}", kNone, kAnyone, HandleGetReceipt},
    {"POST", "accounts/oauth/exchange", kJson, kAnyone, HandleOauthExchange},
    {"GET", "accounts/{account}/attribution", kNone, kAnyone, HandleGetAttribution},
    {"PUT", "accounts/{account}/attribution", kJson, kAnyone, HandlePutAttribution},
    {"GET", "models/supported", kNone, kAnyone, HandleSupportedModels},
    {"POST", "packages", kRaw, kResearcher, HandleUploadPackage},
    {"GET", "packages/by-manifest/{sha256}", kNone, kWorker, HandlePackageByManifest},
    {"GET", "packages/{sha256}", kNone, kWorker, HandlePackageByDigest},
    {"POST", "tenants", kJson, kMaintainer, HandleCreateTenant},
    {"GET", "tenants", kNone, kAnyone, HandleListTenants},
    {"GET", "tenants/{tenant}", kNone, kAnyone, HandleGetTenant},
    {"POST", "releases", kJson, kMaintainer, HandleCreateRelease},
    {"GET", "releases", kNone, kResearcher, HandleListReleases},
    {"POST", "experiments", kJson, kResearcher, HandleCreateExperiment},
    {"GET", "experiments", kNone, kResearcherOrMaintainer, HandleListExperiments},
    {"GET", "experiments/{experiment}", kNone, kResearcherOrMaintainer, HandleGetExperiment},
    {"POST", "experiments/{experiment}/actions/approve", kNone, kMaintainer, HandleApprove},
    {"POST", "experiments/{experiment}/actions/archive", kNone, kMaintainer, HandleArchive},
    {"POST", "experiments/{experiment}/actions/abort", kNone, kResearcherOrMaintainer, HandleAbort},
    {"POST", "experiments/{experiment}/actions/pause", kNone, kResearcherOrMaintainer,
     HandlePauseExperiment},
    {"POST", "experiments/{experiment}/actions/resume", kNone, kResearcherOrMaintainer,
     HandleResumeExperiment},
    {"POST", "experiments/{experiment}/actions/finalize-submissions", kNone,
     kResearcherOrMaintainer, HandleFinalize},
    {"POST", "experiments/{experiment}/work-units", kJson, kResearcher, HandleSubmitUnits},
    {"GET", "experiments/{experiment}/work-units", kNone, kResearcherOrMaintainer, HandleListUnits},
    {"GET", "experiments/{experiment}/receipts", kNone, kResearcherOrMaintainer,
     HandleExperimentReceipts},
    {"GET", "experiments/{experiment}/attestation", kNone, kResearcherOrMaintainer,
     HandleAttestation},
    {"GET", "health/public", kNone, kAnyone, HandleHealthPublic},
    {"GET", "health", kNone, kAnyone, HandleHealth},
    {"GET", "auth/whoami", kNone, kAnyone, HandleWhoami},
    // The lab's own calls (14.5).
    {"GET", "lab/signing-key", kNone, kAnyone, HandleLabSigningKey},
    {"POST", "lab/experiments", kJson, kMaintainer, HandleLabSubmit},
    {"GET", "lab/experiments/{experiment}", kNone, kMaintainer, HandleLabProgress},
    {"GET", "lab/experiments/{experiment}/results", kNone, kMaintainer, HandleLabResults},
    {"POST", "lab/experiments/{experiment}/abort", kNone, kMaintainer, HandleLabAbort},
    {"POST", "lab/accounts/{account}/suspend", kNone, kMaintainer, HandleSuspendAccount},
    {"POST", "lab/accounts/{account}/unsuspend", kNone, kMaintainer, HandleUnsuspendAccount},
};

std::string_view TakeSegment(std::string_view& path) {
  const size_t end = path.find('/');
  const std::string_view segment = path.substr(0, end);
  path.remove_prefix(end == std::string_view::npos ? path.size() : end + 1);
  return segment;
}

// Whether `segment` is of the kind that `name` (with braces) asks for; Parse is what makes it safe
// to use.
bool OfKind(std::string_view name, std::string_view segment) {
  if (name == "{worker}") return WorkerId::Parse(segment).ok();
  if (name == "{unit}") return UnitId::Parse(segment).ok();
  if (name == "{result}") return ResultId::Parse(segment).ok();
  if (name == "{receipt}") return ReceiptId::Parse(segment).ok();
  if (name == "{account}") return AccountId::Parse(segment).ok();
  if (name == "{experiment}") return ExperimentId::Parse(segment).ok();
  if (name == "{tenant}") return TenantId::Parse(segment).ok();
  if (name == "{sha256}") return Sha256Hex::Parse(segment).ok();
  return false;
}

bool Matches(std::string_view pattern, std::string_view path, std::vector<std::string>& variables) {
  variables.clear();
  while (!pattern.empty() && !path.empty()) {
    const std::string_view want = TakeSegment(pattern), have = TakeSegment(path);
    if (want.starts_with('{')) {
      if (!OfKind(want, have)) return false;
      variables.emplace_back(have);
    } else if (want != have) {
      return false;
    }
  }
  return pattern.empty() && path.empty();
}

}  // namespace

std::optional<RouteMatch> MatchRoute(std::string_view method, std::string_view path) {
  if (!path.starts_with(kPrefix) || path.ends_with('/')) return std::nullopt;
  path.remove_prefix(kPrefix.size());
  std::optional<RouteMatch> found;
  std::vector<std::string> variables;
  for (const RouteEntry& route : kRoutes) {
    if (!Matches(route.pattern, path, variables)) continue;
    if (route.method == method) return RouteMatch{&route, std::move(variables)};
    found.emplace();
  }
  return found;
}

}  // namespace auspex::coordd
