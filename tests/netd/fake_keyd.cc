// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/netd/fake_keyd.h"

#include <gtest/gtest.h>

#include "common/base/encoding.h"
#include "common/wire/http_signature.h"
#include "common/wire/routes.h"

namespace auspex::testing {
namespace {

using keyd::v1::SignRequestRequest;

// Route and body digest of the intents that netd may ask for.
Route RouteOf(const SignRequestRequest& request, std::string& digest) {
  const WorkerId worker = *WorkerId::Parse("wkr-test");
  switch (request.intent_case()) {
    case SignRequestRequest::kHeartbeat:
      digest = request.heartbeat().body_sha256();
      return routes::Heartbeat(worker);
    case SignRequestRequest::kPoll:
      return routes::Poll(worker);
    case SignRequestRequest::kRefuse:
      digest = request.refuse().body_sha256();
      return routes::Refuse(worker, *UnitId::Parse(request.refuse().unit_id()));
    case SignRequestRequest::kSubmitResult:
      digest = request.submit_result().body_sha256();
      return routes::SubmitResult(worker, *UnitId::Parse(request.submit_result().unit_id()));
    case SignRequestRequest::kFetchReceipt:
      return routes::CanonicalReceipt(worker,
                                      *ResultId::Parse(request.fetch_receipt().result_id()));
    case SignRequestRequest::kFetchPackage:
      return routes::PackageByManifest(
          *Sha256Hex::Parse(request.fetch_package().manifest_sha256()));
    case SignRequestRequest::kUpgrade:
      digest = request.upgrade().body_sha256();
      return routes::Upgrade(worker);
    case SignRequestRequest::kRetire:
      return routes::Retire(worker);
    default:
      ADD_FAILURE() << "netd asked for an intent that it has no use for: " << request.intent_case();
      return routes::Poll(worker);
  }
}

}  // namespace

FakeKeyd::FakeKeyd(const std::string& socket, const std::string& base_url)
    : base_(*BaseUrl::Parse(base_url)) {
  auto server = RoleServer::Start(
      {.role = "keyd/request", .socket_path = socket, .allow = PeerRule::Self(), .max_pollers = 4},
      {this});
  EXPECT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
}

FakeKeyd::~FakeKeyd() { server_->Shutdown(100); }

void FakeKeyd::SetHook(Hook hook) {
  std::lock_guard lock(mutex_);
  hook_ = std::move(hook);
}

std::vector<SignRequestRequest> FakeKeyd::intents() const {
  std::lock_guard lock(mutex_);
  return intents_;
}

grpc::Status FakeKeyd::SignRequest(grpc::ServerContext*, const SignRequestRequest* request,
                                   keyd::v1::SignedRequest* out) {
  std::string digest;
  const Route route = RouteOf(*request, digest);
  out->set_method(std::string(route.method));
  out->set_path(base_.TargetOf(route.path));
  out->set_authority(base_.authority());
  if (!digest.empty()) out->set_content_digest(ContentDigestHeader(digest));
  out->set_signature_input(
      "sig1=(\"@method\" \"@path\" \"@authority\");created=1;alg=\"ed25519\";keyid=\"00\"");
  out->set_signature(SignatureHeader(std::string(64, 's')));
  std::lock_guard lock(mutex_);
  intents_.push_back(*request);
  return hook_ ? hook_(*request, *out) : grpc::Status::OK;
}

}  // namespace auspex::testing
