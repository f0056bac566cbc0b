// SPDX-License-Identifier: AGPL-3.0-only
// The RPCs of the role "result": translation between messages and SigningBoundary, nothing else.
// Safe from any thread; what it is given outlives it.
#ifndef AUSPEX_KEYD_RESULT_SERVICE_H_
#define AUSPEX_KEYD_RESULT_SERVICE_H_

#include "auspex/keyd/v1/keyd.grpc.pb.h"
#include "keyd/peer_source.h"
#include "keyd/signing_boundary.h"

namespace auspex::keyd {

class ResultService final : public v1::ResultSigner::Service {
 public:
  explicit ResultService(SigningBoundary& boundary) : boundary_(boundary) {}
  PeerSource& peers() { return peers_; }

  grpc::Status SignResult(grpc::ServerContext* context, const v1::SignResultRequest* request,
                          v1::SignResultResponse* response) override;
  grpc::Status SignRawText(grpc::ServerContext* context, const v1::SignRawTextRequest* request,
                           v1::SignRawTextResponse* response) override;

 private:
  SigningBoundary& boundary_;
  PeerSource peers_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_RESULT_SERVICE_H_
