// SPDX-License-Identifier: AGPL-3.0-only
// SandboxesService: the owner's questions (role "owner"), translated to the library. Safe from any
// thread.
#ifndef AUSPEX_RUNNERD_SANDBOXES_SERVICE_H_
#define AUSPEX_RUNNERD_SANDBOXES_SERVICE_H_

#include <functional>

#include "auspex/runnerd/v1/runnerd.grpc.pb.h"
#include "common/config/config.h"
#include "runnerd/governor_loop.h"
#include "runnerd/isolation.h"
#include "runnerd/sandbox_host.h"
#include "runnerd/self_test.h"
#include "runnerd/slots.h"

namespace auspex::runnerd {

class SandboxesService final : public v1::Sandboxes::Service {
 public:
  // Everything is lent.
  SandboxesService(Slots& slots, Isolation& isolation, const GovernorLoop& governor,
                   std::function<absl::StatusOr<Config>()> load_config, const SandboxHost& host,
                   runnerd::SelfTest& self_test)
      : slots_(slots),
        isolation_(isolation),
        governor_(governor),
        load_config_(std::move(load_config)),
        host_(host),
        self_test_(self_test) {}

  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*,
                         v1::SandboxStatus* status) override;
  grpc::Status Abort(grpc::ServerContext*, const v1::AbortRequest* request,
                     v1::AbortResponse* response) override;
  grpc::Status Probe(grpc::ServerContext*, const v1::ProbeRequest*,
                     v1::ProbeResponse* response) override;
  grpc::Status Show(grpc::ServerContext*, const v1::ShowRequest*,
                    v1::ShowResponse* response) override;
  grpc::Status SelfTest(grpc::ServerContext* context, const v1::SelfTestRequest*,
                        grpc::ServerWriter<v1::SelfTestRow>* writer) override;

 private:
  Slots& slots_;
  Isolation& isolation_;
  const GovernorLoop& governor_;
  const std::function<absl::StatusOr<Config>()> load_config_;
  const SandboxHost& host_;
  runnerd::SelfTest& self_test_;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_SANDBOXES_SERVICE_H_
