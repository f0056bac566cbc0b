// SPDX-License-Identifier: AGPL-3.0-only
// Clients: the calls that the command makes to the daemons' owner sockets. Connects lazily; every
// call has a deadline and gives the daemon's status with the call's name before its message. A call
// waits for a daemon that is just being started again; errors are as the contracts say,
// DEADLINE_EXCEEDED when nobody serves the socket until the deadline. One thread at a time.
#ifndef AUSPEX_CLI_CLIENTS_H_
#define AUSPEX_CLI_CLIENTS_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "auspex/keyd/v1/keyd.pb.h"
#include "auspex/netd/v1/netd.pb.h"
#include "auspex/runnerd/v1/runnerd.pb.h"
#include "auspex/stated/v1/stated.pb.h"
#include "common/paths/layout.h"

namespace auspex::cli {

namespace keyd_v1 = ::auspex::keyd::v1;
namespace netd_v1 = ::auspex::netd::v1;
namespace runnerd_v1 = ::auspex::runnerd::v1;
namespace stated_v1 = ::auspex::stated::v1;

class Clients {
 public:
  // `local_seconds`: the deadline of calls that stay on this machine.
  explicit Clients(const Layout& layout, double local_seconds = 15);
  ~Clients();

  absl::StatusOr<keyd_v1::KeyStatus> KeyStatus();
  // Acts on the key may wait for a person who unlocks a keyring.
  absl::StatusOr<keyd_v1::KeyIdentity> CreateKey(const keyd_v1::CreateKeyRequest& request = {});
  absl::StatusOr<keyd_v1::KeyIdentity> ImportKey(const keyd_v1::ImportKeyRequest& request);
  absl::StatusOr<keyd_v1::SealKeyResponse> SealKey(const keyd_v1::SealKeyRequest& request);
  absl::Status SetEnrolment(const std::string& base_url, const std::string& worker_id);
  absl::StatusOr<keyd_v1::DestroyKeyResponse> DestroyKey();
  absl::Status OpenGrant(keyd_v1::OwnerAct act, const std::string& worker_id,
                         uint32_t lifetime_seconds);
  absl::Status ListJournal(uint64_t first_sequence, uint64_t limit,
                           const std::function<void(const keyd_v1::JournalRecord&)>& visit);

  absl::StatusOr<stated_v1::Status> WorkerStatus();
  absl::StatusOr<stated_v1::ListAuditResponse> ListAudit(
      const stated_v1::ListAuditRequest& request);
  absl::StatusOr<stated_v1::ListUnitsResponse> ListUnits(
      const stated_v1::ListUnitsRequest& request);
  absl::StatusOr<stated_v1::ListResultsResponse> ListResults(
      const stated_v1::ListResultsRequest& request);
  absl::StatusOr<stated_v1::Result> GetResult(const std::string& identifier);
  absl::StatusOr<stated_v1::ListTenantsResponse> ListTenants();
  // Each returns whether anything changed.
  absl::StatusOr<bool> AllowTenant(const std::string& tenant_id);
  absl::StatusOr<bool> DenyTenant(const std::string& tenant_id);
  absl::StatusOr<bool> ForgetTenant(const std::string& tenant_id);
  absl::StatusOr<bool> AcceptExperiment(const std::string& experiment_id);
  absl::StatusOr<bool> WithdrawAcceptance(const std::string& experiment_id);
  absl::StatusOr<bool> ClearPin(const std::string& experiment_id);
  absl::StatusOr<bool> SetSelfPause(bool paused);
  absl::StatusOr<bool> RecordAbort(const std::string& unit_id, const std::string& action,
                                   const std::string& reason);
  absl::StatusOr<bool> Forget();
  // Number of units that were in hand and are ended.
  absl::StatusOr<uint32_t> RefuseUnit(const std::string& unit_id, const std::string& reason);

  absl::StatusOr<netd_v1::EnrolResponse> Enrol(const std::string& public_key_hex);
  absl::StatusOr<netd_v1::RetireResponse> Retire();
  absl::StatusOr<netd_v1::ConnectionStatus> ConnectionStatus();
  absl::Status Login(const std::function<void(const netd_v1::LoginEvent&)>& visit);

  absl::StatusOr<runnerd_v1::SandboxStatus> SandboxStatus();
  absl::StatusOr<runnerd_v1::AbortResponse> Abort(const std::string& unit_id, double grace_seconds);
  absl::StatusOr<runnerd_v1::ProbeResponse> Probe();
  absl::StatusOr<runnerd_v1::ShowResponse> ShowSandbox();
  absl::Status SelfTest(const std::function<void(const runnerd_v1::SelfTestRow&)>& visit);
  absl::StatusOr<runnerd_v1::ListPackagesResponse> ListPackages();
  absl::StatusOr<runnerd_v1::RemovePackageResponse> RemovePackage(
      const std::string& manifest_sha256);
  absl::StatusOr<runnerd_v1::CollectPackagesResponse> CollectPackages(bool all);

 private:
  struct Stubs;
  std::unique_ptr<Stubs> stubs_;
  double local_seconds_;
};

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_CLIENTS_H_
