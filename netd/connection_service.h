// SPDX-License-Identifier: AGPL-3.0-only
// ConnectionService: what the owner may ask of netd (netd.proto): status, enrolment, login,
// retirement. Translates messages; one enrolment or login at a time. Its calls end when `stop` is
// triggered or the caller goes away.
#ifndef AUSPEX_NETD_CONNECTION_SERVICE_H_
#define AUSPEX_NETD_CONNECTION_SERVICE_H_

#include <mutex>
#include <stop_token>
#include <string>

#include "auspex/netd/v1/netd.grpc.pb.h"
#include "netd/coordinator.h"
#include "netd/counters.h"
#include "netd/device_flow.h"
#include "netd/stated_client.h"

namespace auspex {

class ConnectionService final : public netd::v1::Connection::Service {
 public:
  // All must outlive the service.
  ConnectionService(DeviceFlow::Options login, HttpClient& http, Coordinator& coordinator,
                    StatedClient& stated, Counters& counters, std::stop_token stop)
      : login_(std::move(login)),
        http_(http),
        coordinator_(coordinator),
        stated_(stated),
        counters_(counters),
        stop_(std::move(stop)) {}

  grpc::Status GetStatus(grpc::ServerContext* context, const netd::v1::GetStatusRequest* request,
                         netd::v1::ConnectionStatus* response) override;
  grpc::Status Enrol(grpc::ServerContext* context, const netd::v1::EnrolRequest* request,
                     netd::v1::EnrolResponse* response) override;
  grpc::Status Login(grpc::ServerContext* context, const netd::v1::LoginRequest* request,
                     grpc::ServerWriter<netd::v1::LoginEvent>* writer) override;
  grpc::Status Retire(grpc::ServerContext* context, const netd::v1::RetireRequest* request,
                      netd::v1::RetireResponse* response) override;

 private:
  absl::Status DoEnrol(const netd::v1::EnrolRequest& request, netd::v1::EnrolResponse& response);
  absl::Status DoLogin(grpc::ServerWriter<netd::v1::LoginEvent>& writer, std::stop_token stop);
  // 5.7 and 5.8 with the token, and the record of what came of it.
  absl::Status Bind(AccessToken token, uint32_t old_tier, netd::v1::LoginEvent::Done& done,
                    std::stop_token stop);
  absl::Status DoRetire(netd::v1::RetireResponse& response);

  const DeviceFlow::Options login_;
  HttpClient& http_;
  Coordinator& coordinator_;
  StatedClient& stated_;
  Counters& counters_;
  const std::stop_token stop_;
  std::mutex one_at_a_time_;
};

}  // namespace auspex

#endif  // AUSPEX_NETD_CONNECTION_SERVICE_H_
