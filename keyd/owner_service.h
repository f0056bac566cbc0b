// SPDX-License-Identifier: AGPL-3.0-only
// The RPCs of the role "owner": translation between messages and Custody, KeyRing and Journal,
// nothing else. Safe from any thread; what it is given outlives it.
#ifndef AUSPEX_KEYD_OWNER_SERVICE_H_
#define AUSPEX_KEYD_OWNER_SERVICE_H_

#include <atomic>
#include <string>
#include <vector>

#include "auspex/keyd/v1/keyd.grpc.pb.h"
#include "keyd/checkpointer.h"
#include "keyd/custody.h"
#include "keyd/hardening.h"
#include "keyd/peer_source.h"

namespace auspex::keyd {

class OwnerService final : public v1::KeyOwner::Service {
 public:
  struct Parts {
    Custody& custody;
    const KeyRing& keys;
    const Journal& journal;
    Recorder& recorder;
    Checkpointer& checkpointer;
    Rates& rates;
    const Hardening& hardening;
    std::string import_path;  // where the owner's command puts a key to import
  };
  explicit OwnerService(Parts parts) : parts_(std::move(parts)) {}
  PeerSource& peers() { return peers_; }

  grpc::Status GetStatus(grpc::ServerContext* context, const v1::GetStatusRequest* request,
                         v1::KeyStatus* response) override;
  grpc::Status CreateKey(grpc::ServerContext* context, const v1::CreateKeyRequest* request,
                         v1::KeyIdentity* response) override;
  grpc::Status ImportKey(grpc::ServerContext* context, const v1::ImportKeyRequest* request,
                         v1::KeyIdentity* response) override;
  grpc::Status SealKey(grpc::ServerContext* context, const v1::SealKeyRequest* request,
                       v1::SealKeyResponse* response) override;
  grpc::Status SetEnrolment(grpc::ServerContext* context, const v1::SetEnrolmentRequest* request,
                            v1::SetEnrolmentResponse* response) override;
  grpc::Status DestroyKey(grpc::ServerContext* context, const v1::DestroyKeyRequest* request,
                          v1::DestroyKeyResponse* response) override;
  grpc::Status OpenGrant(grpc::ServerContext* context, const v1::OpenGrantRequest* request,
                         v1::OpenGrantResponse* response) override;
  grpc::Status ListJournal(grpc::ServerContext* context, const v1::ListJournalRequest* request,
                           grpc::ServerWriter<v1::JournalRecord>* writer) override;
  grpc::Status SignCheckpoint(grpc::ServerContext* context,
                              const v1::SignCheckpointRequest* request,
                              v1::SignCheckpointResponse* response) override;

 private:
  grpc::Status Answer(const absl::Status& status, v1::KeyIdentity* response);
  void CheckpointOfNewKey();

  Parts parts_;
  PeerSource peers_;
  std::atomic<int> followers_{0};
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_OWNER_SERVICE_H_
