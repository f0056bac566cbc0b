// SPDX-License-Identifier: AGPL-3.0-only
// The RPCs of the role "request": translation between messages and SigningBoundary, nothing else.
// A CallLoop answers them; it and all else that the service is given outlive it.
#ifndef AUSPEX_KEYD_REQUEST_SERVICE_H_
#define AUSPEX_KEYD_REQUEST_SERVICE_H_

#include "auspex/keyd/v1/keyd.grpc.pb.h"
#include "common/ipc/call_loop.h"
#include "keyd/peer_source.h"
#include "keyd/signing_boundary.h"

namespace auspex::keyd {

class RequestService final : public v1::RequestSigner::AsyncService {
 public:
  // Adds its methods to `loop`.
  RequestService(SigningBoundary& boundary, const KeyRing& keys, CallLoop& loop);
  PeerSource& peers() { return peers_; }

 private:
  SigningBoundary& boundary_;
  const KeyRing& keys_;
  PeerSource peers_;
};

// What `view` shows of itself.
void FillIdentity(const KeyRing::View& view, v1::KeyIdentity& out);

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_REQUEST_SERVICE_H_
