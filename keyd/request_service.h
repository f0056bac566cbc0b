// SPDX-License-Identifier: AGPL-3.0-only
// The RPCs of the role "request": translation between messages and SigningBoundary, nothing else.
// Safe from any thread; what it is given outlives it.
#ifndef AUSPEX_KEYD_REQUEST_SERVICE_H_
#define AUSPEX_KEYD_REQUEST_SERVICE_H_

#include "auspex/keyd/v1/keyd.grpc.pb.h"
#include "keyd/peer_source.h"
#include "keyd/signing_boundary.h"

namespace auspex::keyd {

class RequestService final : public v1::RequestSigner::Service {
 public:
  RequestService(SigningBoundary& boundary, const KeyRing& keys)
      : boundary_(boundary), keys_(keys) {}
  PeerSource& peers() { return peers_; }

  grpc::Status SignRequest(grpc::ServerContext* context, const v1::SignRequestRequest* request,
                           v1::SignedRequest* response) override;
  grpc::Status GetIdentity(grpc::ServerContext* context, const v1::GetIdentityRequest* request,
                           v1::KeyIdentity* response) override;

 private:
  SigningBoundary& boundary_;
  const KeyRing& keys_;
  PeerSource peers_;
};

// What `view` shows of itself.
void FillIdentity(const KeyRing::View& view, v1::KeyIdentity& out);

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_REQUEST_SERVICE_H_
