// SPDX-License-Identifier: AGPL-3.0-only
// FakeKeyd: keyd's role "request" as netd sees it, in the test's own process: composes with the
// real routes and signs with a placeholder. Safe from any thread.
#ifndef AUSPEX_TESTS_NETD_FAKE_KEYD_H_
#define AUSPEX_TESTS_NETD_FAKE_KEYD_H_

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "auspex/keyd/v1/keyd.grpc.pb.h"
#include "common/ipc/role_server.h"
#include "common/wire/base_url.h"

namespace auspex::testing {

class FakeKeyd final : public keyd::v1::RequestSigner::Service {
 public:
  // Lets a test refuse or twist an answer; returns the status of the call.
  using Hook =
      std::function<grpc::Status(const keyd::v1::SignRequestRequest&, keyd::v1::SignedRequest&)>;
  FakeKeyd(const std::string& socket, const std::string& base_url);
  ~FakeKeyd() override;

  void SetHook(Hook hook);
  std::vector<keyd::v1::SignRequestRequest> intents() const;

  grpc::Status SignRequest(grpc::ServerContext*, const keyd::v1::SignRequestRequest* request,
                           keyd::v1::SignedRequest* out) override;

 private:
  const BaseUrl base_;
  mutable std::mutex mutex_;
  Hook hook_;
  std::vector<keyd::v1::SignRequestRequest> intents_;
  std::unique_ptr<RoleServer> server_;
};

}  // namespace auspex::testing

#endif  // AUSPEX_TESTS_NETD_FAKE_KEYD_H_
