// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/clients.h"

#include "auspex/keyd/v1/keyd.grpc.pb.h"
#include "auspex/netd/v1/netd.grpc.pb.h"
#include "auspex/runnerd/v1/runnerd.grpc.pb.h"
#include "auspex/stated/v1/stated.grpc.pb.h"
#include "common/base/status_macros.h"
#include "common/ipc/channel.h"
#include "common/ipc/role_key.h"

namespace auspex::cli {
namespace {

constexpr double kNetworkSeconds = 120;   // one that waits for the coordinator
constexpr double kLoginSeconds = 1800;    // one that waits for a person
constexpr double kKeyringSeconds = 200;   // one that may run through a keyring and its prompt
constexpr double kProbeSeconds = 60;      // one that builds sandboxes
constexpr double kSelfTestSeconds = 600;  // one that builds many, each with a wall clock

// Waiting for the daemon is also what drives gRPC's connecting: a channel that nobody waits on
// looks at its sockets every five seconds only.
void Prepare(grpc::ClientContext& context, double seconds) {
  SetDeadline(context, seconds);
  context.set_wait_for_ready(true);
}

// One call: `method` of `stub` with a deadline.
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Unary(Stub& stub,
                               grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                            Response*),
                               const Request& request, const char* what, double seconds) {
  grpc::ClientContext context;
  Prepare(context, seconds);
  Response response;
  RETURN_IF_ERROR(FromGrpc((stub.*method)(&context, request, &response), what));
  return response;
}

// The message of a stream, one after the other, to `visit`.
template <typename Reader, typename Message>
absl::Status Drain(Reader& reader, const std::function<void(const Message&)>& visit,
                   const char* what) {
  Message message;
  while (reader.Read(&message)) visit(message);
  return FromGrpc(reader.Finish(), what);
}

absl::StatusOr<bool> Changed(absl::StatusOr<stated_v1::PolicyResponse> response) {
  if (!response.ok()) return response.status();
  return response->changed();
}

stated_v1::AcceptExperimentRequest Experiment(const std::string& experiment_id) {
  stated_v1::AcceptExperimentRequest request;
  request.set_experiment_id(experiment_id);
  return request;
}

stated_v1::TenantRequest Tenant(const std::string& tenant_id) {
  stated_v1::TenantRequest request;
  request.set_tenant_id(tenant_id);
  return request;
}

}  // namespace

struct Clients::Stubs {
  std::unique_ptr<keyd_v1::KeyOwner::Stub> keyd;
  std::unique_ptr<stated_v1::Query::Stub> query;
  std::unique_ptr<stated_v1::Policy::Stub> policy;
  std::unique_ptr<netd_v1::Connection::Stub> netd;
  std::unique_ptr<runnerd_v1::Sandboxes::Stub> runnerd;
  std::unique_ptr<runnerd_v1::Packages::Stub> packages;
};

using KeyStub = keyd_v1::KeyOwner::Stub;
using QueryStub = stated_v1::Query::Stub;
using PolicyStub = stated_v1::Policy::Stub;
using NetStub = netd_v1::Connection::Stub;
using RunStub = runnerd_v1::Sandboxes::Stub;
using PackageStub = runnerd_v1::Packages::Stub;

Clients::Clients(const Layout& layout, double local_seconds)
    : stubs_(std::make_unique<Stubs>()), local_seconds_(local_seconds) {
  // Made here when the daemons have yet to start, since a channel reads its key once. One that
  // cannot be made is missed by the connection that needs it.
  if (layout.mode() != Layout::Mode::kSystem) {
    for (const char* daemon : {"keyd", "stated", "netd", "runnerd"}) {
      EnsureRoleKey(layout.Socket(daemon, "owner")).IgnoreError();
    }
  }
  const auto stated = ConnectTo(layout.Socket("stated", "owner"));
  stubs_->keyd = keyd_v1::KeyOwner::NewStub(ConnectTo(layout.Socket("keyd", "owner")));
  stubs_->query = stated_v1::Query::NewStub(stated);
  stubs_->policy = stated_v1::Policy::NewStub(stated);
  stubs_->netd = netd_v1::Connection::NewStub(ConnectTo(layout.Socket("netd", "owner")));
  const auto runnerd = ConnectTo(layout.Socket("runnerd", "owner"));
  stubs_->runnerd = runnerd_v1::Sandboxes::NewStub(runnerd);
  stubs_->packages = runnerd_v1::Packages::NewStub(runnerd);
}

Clients::~Clients() = default;

absl::StatusOr<keyd_v1::KeyStatus> Clients::KeyStatus() {
  return Unary(*stubs_->keyd, &KeyStub::GetStatus, keyd_v1::GetStatusRequest(), "keyd.GetStatus",
               local_seconds_);
}

absl::StatusOr<keyd_v1::KeyIdentity> Clients::CreateKey(const keyd_v1::CreateKeyRequest& request) {
  return Unary(*stubs_->keyd, &KeyStub::CreateKey, request, "keyd.CreateKey", kKeyringSeconds);
}

absl::StatusOr<keyd_v1::KeyIdentity> Clients::ImportKey(const keyd_v1::ImportKeyRequest& request) {
  return Unary(*stubs_->keyd, &KeyStub::ImportKey, request, "keyd.ImportKey", kKeyringSeconds);
}

absl::StatusOr<keyd_v1::SealKeyResponse> Clients::SealKey(const keyd_v1::SealKeyRequest& request) {
  return Unary(*stubs_->keyd, &KeyStub::SealKey, request, "keyd.SealKey", kKeyringSeconds);
}

absl::Status Clients::SetEnrolment(const std::string& base_url, const std::string& worker_id) {
  keyd_v1::SetEnrolmentRequest request;
  request.set_base_url(base_url);
  request.set_worker_id(worker_id);
  return Unary(*stubs_->keyd, &KeyStub::SetEnrolment, request, "keyd.SetEnrolment", local_seconds_)
      .status();
}

absl::StatusOr<keyd_v1::DestroyKeyResponse> Clients::DestroyKey() {
  return Unary(*stubs_->keyd, &KeyStub::DestroyKey, keyd_v1::DestroyKeyRequest(), "keyd.DestroyKey",
               kKeyringSeconds);
}

absl::Status Clients::OpenGrant(keyd_v1::OwnerAct act, const std::string& worker_id,
                                uint32_t lifetime_seconds) {
  keyd_v1::OpenGrantRequest request;
  request.set_act(act);
  request.set_worker_id(worker_id);
  request.set_lifetime_seconds(lifetime_seconds);
  return Unary(*stubs_->keyd, &KeyStub::OpenGrant, request, "keyd.OpenGrant", local_seconds_)
      .status();
}

absl::Status Clients::ListJournal(uint64_t first_sequence, uint64_t limit,
                                  const std::function<void(const keyd_v1::JournalRecord&)>& visit) {
  grpc::ClientContext context;
  Prepare(context, kNetworkSeconds);
  keyd_v1::ListJournalRequest request;
  request.set_first_sequence(first_sequence);
  request.set_limit(limit);
  auto reader = stubs_->keyd->ListJournal(&context, request);
  return Drain(*reader, visit, "keyd.ListJournal");
}

absl::StatusOr<stated_v1::Status> Clients::WorkerStatus() {
  return Unary(*stubs_->query, &QueryStub::GetStatus, stated_v1::GetStatusRequest(),
               "stated.GetStatus", local_seconds_);
}

absl::StatusOr<stated_v1::ListAuditResponse> Clients::ListAudit(
    const stated_v1::ListAuditRequest& request) {
  return Unary(*stubs_->query, &QueryStub::ListAudit, request, "stated.ListAudit", local_seconds_);
}

absl::StatusOr<stated_v1::ListUnitsResponse> Clients::ListUnits(
    const stated_v1::ListUnitsRequest& request) {
  return Unary(*stubs_->query, &QueryStub::ListUnits, request, "stated.ListUnits", local_seconds_);
}

absl::StatusOr<stated_v1::ListResultsResponse> Clients::ListResults(
    const stated_v1::ListResultsRequest& request) {
  return Unary(*stubs_->query, &QueryStub::ListResults, request, "stated.ListResults",
               local_seconds_);
}

absl::StatusOr<stated_v1::Result> Clients::GetResult(const std::string& identifier) {
  stated_v1::GetResultRequest request;
  request.set_identifier(identifier);
  return Unary(*stubs_->query, &QueryStub::GetResult, request, "stated.GetResult", local_seconds_);
}

absl::StatusOr<stated_v1::ListTenantsResponse> Clients::ListTenants() {
  return Unary(*stubs_->query, &QueryStub::ListTenants, stated_v1::ListTenantsRequest(),
               "stated.ListTenants", local_seconds_);
}

absl::StatusOr<bool> Clients::AllowTenant(const std::string& tenant_id) {
  return Changed(Unary(*stubs_->policy, &PolicyStub::AllowTenant, Tenant(tenant_id),
                       "stated.AllowTenant", local_seconds_));
}

absl::StatusOr<bool> Clients::DenyTenant(const std::string& tenant_id) {
  return Changed(Unary(*stubs_->policy, &PolicyStub::DenyTenant, Tenant(tenant_id),
                       "stated.DenyTenant", local_seconds_));
}

absl::StatusOr<bool> Clients::ForgetTenant(const std::string& tenant_id) {
  return Changed(Unary(*stubs_->policy, &PolicyStub::ForgetTenant, Tenant(tenant_id),
                       "stated.ForgetTenant", local_seconds_));
}

absl::StatusOr<bool> Clients::AcceptExperiment(const std::string& experiment_id) {
  return Changed(Unary(*stubs_->policy, &PolicyStub::AcceptExperiment, Experiment(experiment_id),
                       "stated.AcceptExperiment", local_seconds_));
}

absl::StatusOr<bool> Clients::WithdrawAcceptance(const std::string& experiment_id) {
  return Changed(Unary(*stubs_->policy, &PolicyStub::WithdrawAcceptance, Experiment(experiment_id),
                       "stated.WithdrawAcceptance", local_seconds_));
}

absl::StatusOr<bool> Clients::ClearPin(const std::string& experiment_id) {
  return Changed(Unary(*stubs_->policy, &PolicyStub::ClearPin, Experiment(experiment_id),
                       "stated.ClearPin", local_seconds_));
}

absl::StatusOr<bool> Clients::SetSelfPause(bool paused) {
  stated_v1::SetSelfPauseRequest request;
  request.set_paused(paused);
  return Changed(Unary(*stubs_->policy, &PolicyStub::SetSelfPause, request, "stated.SetSelfPause",
                       local_seconds_));
}

absl::StatusOr<bool> Clients::RecordAbort(const std::string& unit_id, const std::string& action,
                                          const std::string& reason) {
  stated_v1::RecordAbortRequest request;
  request.set_unit_id(unit_id);
  request.set_action(action);
  request.set_reason(reason);
  return Changed(Unary(*stubs_->policy, &PolicyStub::RecordAbort, request, "stated.RecordAbort",
                       local_seconds_));
}

absl::StatusOr<bool> Clients::Forget() {
  return Changed(Unary(*stubs_->policy, &PolicyStub::Forget, stated_v1::ForgetRequest(),
                       "stated.Forget", local_seconds_));
}

absl::StatusOr<uint32_t> Clients::RefuseUnit(const std::string& unit_id,
                                             const std::string& reason) {
  stated_v1::OwnerRefuseRequest request;
  request.set_unit_id(unit_id);
  request.set_reason(reason);
  ASSIGN_OR_RETURN(const stated_v1::OwnerRefuseResponse response,
                   Unary(*stubs_->policy, &PolicyStub::RefuseUnit, request, "stated.RefuseUnit",
                         local_seconds_));
  return response.units_ended();
}

absl::StatusOr<netd_v1::EnrolResponse> Clients::Enrol(const std::string& public_key_hex) {
  netd_v1::EnrolRequest request;
  request.set_public_key_hex(public_key_hex);
  return Unary(*stubs_->netd, &NetStub::Enrol, request, "netd.Enrol", kNetworkSeconds);
}

absl::StatusOr<netd_v1::RetireResponse> Clients::Retire() {
  return Unary(*stubs_->netd, &NetStub::Retire, netd_v1::RetireRequest(), "netd.Retire",
               kNetworkSeconds);
}

absl::StatusOr<netd_v1::ConnectionStatus> Clients::ConnectionStatus() {
  return Unary(*stubs_->netd, &NetStub::GetStatus, netd_v1::GetStatusRequest(), "netd.GetStatus",
               local_seconds_);
}

absl::Status Clients::Login(const std::function<void(const netd_v1::LoginEvent&)>& visit) {
  grpc::ClientContext context;
  Prepare(context, kLoginSeconds);
  auto reader = stubs_->netd->Login(&context, netd_v1::LoginRequest());
  return Drain(*reader, visit, "netd.Login");
}

absl::StatusOr<runnerd_v1::SandboxStatus> Clients::SandboxStatus() {
  return Unary(*stubs_->runnerd, &RunStub::GetStatus, runnerd_v1::GetStatusRequest(),
               "runnerd.GetStatus", local_seconds_);
}

absl::StatusOr<runnerd_v1::AbortResponse> Clients::Abort(const std::string& unit_id,
                                                         double grace_seconds) {
  runnerd_v1::AbortRequest request;
  request.set_unit_id(unit_id);
  request.set_grace_seconds(grace_seconds);
  return Unary(*stubs_->runnerd, &RunStub::Abort, request, "runnerd.Abort",
               grace_seconds + kProbeSeconds);
}

absl::StatusOr<runnerd_v1::ProbeResponse> Clients::Probe() {
  return Unary(*stubs_->runnerd, &RunStub::Probe, runnerd_v1::ProbeRequest(), "runnerd.Probe",
               kProbeSeconds);
}

absl::StatusOr<runnerd_v1::ShowResponse> Clients::ShowSandbox() {
  return Unary(*stubs_->runnerd, &RunStub::Show, runnerd_v1::ShowRequest(), "runnerd.Show",
               local_seconds_);
}

absl::Status Clients::SelfTest(const std::function<void(const runnerd_v1::SelfTestRow&)>& visit) {
  grpc::ClientContext context;
  Prepare(context, kSelfTestSeconds);
  auto reader = stubs_->runnerd->SelfTest(&context, runnerd_v1::SelfTestRequest());
  return Drain(*reader, visit, "runnerd.SelfTest");
}

absl::StatusOr<runnerd_v1::ListPackagesResponse> Clients::ListPackages() {
  return Unary(*stubs_->packages, &PackageStub::ListPackages, runnerd_v1::ListPackagesRequest(),
               "runnerd.ListPackages", kProbeSeconds);
}

absl::StatusOr<runnerd_v1::RemovePackageResponse> Clients::RemovePackage(
    const std::string& manifest_sha256) {
  runnerd_v1::RemovePackageRequest request;
  request.set_manifest_sha256(manifest_sha256);
  return Unary(*stubs_->packages, &PackageStub::RemovePackage, request, "runnerd.RemovePackage",
               kProbeSeconds);
}

absl::StatusOr<runnerd_v1::CollectPackagesResponse> Clients::CollectPackages(bool all) {
  runnerd_v1::CollectPackagesRequest request;
  request.set_all(all);
  return Unary(*stubs_->packages, &PackageStub::CollectPackages, request, "runnerd.CollectPackages",
               kProbeSeconds);
}

}  // namespace auspex::cli
