// SPDX-License-Identifier: AGPL-3.0-only
// Every handler of the coordinator, by the file that holds it. Each is called inside a savepoint of
// the store with its caller already authenticated and admitted by the router; a refusal undoes its
// writes (http_message.h). Single-threaded.
#ifndef AUSPEX_COORDD_HANDLERS_H_
#define AUSPEX_COORDD_HANDLERS_H_

#include "coordd/services.h"

namespace auspex::coordd {

// handlers_workers.cc: enrol, heartbeat, views, leaving (5.1, 5.2, 5.4)
Reply HandleEnroll(Services& services, const Context& context);
Reply HandleHeartbeat(Services& services, const Context& context);
Reply HandleGetWorker(Services& services, const Context& context);
Reply HandleListWorkers(Services& services, const Context& context);
Reply HandleRetire(Services& services, const Context& context);
Reply HandlePrestage(Services& services, const Context& context);
Reply HandleServeRecovered(Services& services, const Context& context);

// handlers_holds.cc: quarantine and pause (5.3)
Reply HandleQuarantine(Services& services, const Context& context);
Reply HandleUnquarantine(Services& services, const Context& context);
Reply HandlePause(Services& services, const Context& context);
Reply HandleUnpause(Services& services, const Context& context);

// handlers_accounts.cc: binding and attribution (6)
Reply HandleOauthExchange(Services& services, const Context& context);
Reply HandleUpgrade(Services& services, const Context& context);
Reply HandleUnbind(Services& services, const Context& context);
Reply HandleGetAttribution(Services& services, const Context& context);
Reply HandlePutAttribution(Services& services, const Context& context);
Reply HandleSuspendAccount(Services& services, const Context& context);
Reply HandleUnsuspendAccount(Services& services, const Context& context);

// handlers_assignments.cc: poll and refuse (7, 9.1)
Reply HandlePoll(Services& services, const Context& context);
Reply HandleRefuse(Services& services, const Context& context);

// handlers_results.cc: submission (8)
Reply HandleResult(Services& services, const Context& context);

// handlers_receipts.cc: fetching and verifying (11.5, 11.6)
Reply HandleCanonicalReceipt(Services& services, const Context& context);
Reply HandleListReceipts(Services& services, const Context& context);
Reply HandleGetReceipt(Services& services, const Context& context);
Reply HandleVerifyReceipt(Services& services, const Context& context);

// handlers_packages.cc (13.3)
Reply HandleUploadPackage(Services& services, const Context& context);
Reply HandlePackageByManifest(Services& services, const Context& context);
Reply HandlePackageByDigest(Services& services, const Context& context);

// handlers_tenants.cc: tenants, releases (14.1, 5.2)
Reply HandleCreateTenant(Services& services, const Context& context);
Reply HandleGetTenant(Services& services, const Context& context);
Reply HandleListTenants(Services& services, const Context& context);
Reply HandleCreateRelease(Services& services, const Context& context);
Reply HandleListReleases(Services& services, const Context& context);

// handlers_experiments.cc: the tenant's way of creating work (14.2 to 14.4)
Reply HandleCreateExperiment(Services& services, const Context& context);
Reply HandleGetExperiment(Services& services, const Context& context);
Reply HandleListExperiments(Services& services, const Context& context);
Reply HandleApprove(Services& services, const Context& context);
Reply HandleArchive(Services& services, const Context& context);
Reply HandleAbort(Services& services, const Context& context);
Reply HandlePauseExperiment(Services& services, const Context& context);
Reply HandleResumeExperiment(Services& services, const Context& context);
Reply HandleFinalize(Services& services, const Context& context);
Reply HandleSubmitUnits(Services& services, const Context& context);
Reply HandleListUnits(Services& services, const Context& context);
Reply HandleExperimentReceipts(Services& services, const Context& context);
Reply HandleAttestation(Services& services, const Context& context);

// handlers_lab.cc: the short path (14.5)
Reply HandleLabSubmit(Services& services, const Context& context);
Reply HandleLabProgress(Services& services, const Context& context);
Reply HandleLabResults(Services& services, const Context& context);
Reply HandleLabAbort(Services& services, const Context& context);
Reply HandleLabSigningKey(Services& services, const Context& context);

// handlers_misc.cc
Reply HandleHealthPublic(Services& services, const Context& context);
Reply HandleHealth(Services& services, const Context& context);
Reply HandleWhoami(Services& services, const Context& context);
Reply HandleSupportedModels(Services& services, const Context& context);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_HANDLERS_H_
