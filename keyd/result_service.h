// SPDX-License-Identifier: AGPL-3.0-only
// The RPCs of the role "result": translation between messages and SigningBoundary, nothing else.
// A CallLoop answers them; it and all else that the service is given outlive it.
#ifndef AUSPEX_KEYD_RESULT_SERVICE_H_
#define AUSPEX_KEYD_RESULT_SERVICE_H_

#include "auspex/keyd/v1/keyd.grpc.pb.h"
#include "common/ipc/call_loop.h"
#include "keyd/peer_source.h"
#include "keyd/signing_boundary.h"

namespace auspex::keyd {

class ResultService final : public v1::ResultSigner::AsyncService {
 public:
  // Adds its methods to `loop`.
  ResultService(SigningBoundary& boundary, CallLoop& loop);
  PeerSource& peers() { return peers_; }

 private:
  SigningBoundary& boundary_;
  PeerSource peers_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_RESULT_SERVICE_H_
